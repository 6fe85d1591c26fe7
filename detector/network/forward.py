"""The forward pass of the frozen base, compiled: pixels → pooled maps, and where the lungs are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detector.images.radiographs import SIZE
from detector.network import lung_decoder
from detector.network.weights import CHANNELS_BY_BLOCK, LAYERS, Weights

CORNER = 4  # the tutorial's 4 × 4 pooling fits into the 7 × 7 map of block5_pool once: into the upper left


def pooled_maps(weights: Weights, precision: str) -> Callable[[object], list[object]]:
    """Return a function from pixels to the outputs of block2_pool … block5_pool, for use in a compiled one.

    The layers are written out rather than taken from Keras' model: weights that are constants are cast, and brought
    into the CPU's preferred layout, once instead of in every batch.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    precision : {"float32", "bfloat16"}

    Returns
    -------
    callable
        From a tensor (n, 224, 224, 3) in [0, 1] to four float32 tensors, (n, 56, 56, 128) … (n, 7, 7, 512).
    """
    import tensorflow as tf

    constants = {name: [tf.constant(array, precision) for array in pair] for name, pair in weights.items()}

    def maps(pixels):  # noqa: ANN001, ANN202
        x, found = tf.cast(pixels, precision), []
        for i, layer in enumerate(LAYERS):
            kernel, bias = constants[layer]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            if i + 1 == len(LAYERS) or LAYERS[i + 1].endswith("conv1"):
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
                if f"{layer.partition('_')[0]}_pool" in CHANNELS_BY_BLOCK:
                    found.append(tf.cast(x, tf.float32))
        return found

    return maps


def compile_forward(weights: Weights, precision: str) -> Callable[[np.ndarray], tuple[object, object]]:
    """Return a compiled function from pixels to pooled features, and to lung masks where the precision is float32.

    Parameters
    ----------
    weights, precision
        As `pooled_maps` takes them.

    Returns
    -------
    callable
        From (n, 224, 224, 3) in [0, 1] to a float32 tensor of shape (n, 1920), and one of booleans, (n, 224, 224):
        True on the lungs. In bfloat16, in which only rotated copies are computed, no lungs are looked for: the second
        is (n, 0, 0).
    """
    import tensorflow as tf

    maps = pooled_maps(weights, precision)
    lungs = lung_decoder.decoder(lung_decoder.read()) if precision == "float32" else None

    @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)], autograph=False)
    def forward(pixels):  # noqa: ANN001, ANN202
        found = maps(pixels)
        corner = tf.reduce_mean(found[-1][:, :CORNER, :CORNER], (1, 2))
        features = tf.concat([corner, *(tf.reduce_mean(x, (1, 2)) for x in found)], axis=1)
        masks = tf.zeros((tf.shape(pixels)[0], 0, 0), bool) if lungs is None else lungs(found)[..., 0] > 0
        return features, masks

    return forward
