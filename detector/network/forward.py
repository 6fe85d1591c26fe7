"""The forward pass of the frozen base, compiled: pixels → pooled maps, and where the lungs are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from detector.images.radiographs import SIZE
from detector.network import lung_decoder
from detector.network.weights import CHANNELS_BY_BLOCK, LAYERS, Weights

if TYPE_CHECKING:
    import tensorflow as tf

Forward = Callable[[np.ndarray, np.ndarray], tuple["tf.Tensor", "tf.Tensor", "tf.Tensor"]]

STEEPNESS = 30.0  # of the saved model's softmax over pixels: one outside the lungs weighs e^-30 of one inside
UPPER_LEFT = 4  # the tutorial's 4 × 4 pooling fits into the 7 × 7 map of block5_pool once: into the upper left


def pooled_maps(weights: Weights, precision: str) -> Callable[[tf.Tensor], tuple[list[tf.Tensor], tf.Tensor]]:
    """Return a function from pixels to the outputs of block2_pool … block5_pool and of the last convolution.

    For use in a compiled function. The layers are written out rather than taken from Keras' model: weights that are
    constants are cast, and brought into the CPU's preferred layout, once instead of in every batch.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    precision : {"float32", "bfloat16"}

    Returns
    -------
    callable
        From a tensor (n, 224, 224, 3) in [0, 1] to four float32 tensors, (n, 56, 56, 128) … (n, 7, 7, 512), and one of
        shape (n, 14, 14, 512).
    """
    import tensorflow as tf

    constants = {name: [tf.constant(array, precision) for array in pair] for name, pair in weights.items()}

    def maps(pixels: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        x, found = tf.cast(pixels, precision), []
        for i, layer in enumerate(LAYERS):
            kernel, bias = constants[layer]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            if i + 1 == len(LAYERS) or LAYERS[i + 1].endswith("conv1"):
                convolved, x = x, tf.nn.max_pool2d(x, 2, 2, "VALID")
                if f"{layer.partition('_')[0]}_pool" in CHANNELS_BY_BLOCK:
                    found.append(tf.cast(x, tf.float32))
        return found, tf.cast(convolved, tf.float32)

    return maps


def compile_forward(weights: Weights, precision: str) -> Forward:
    """Return a compiled function from pixels to pooled features, lung masks, and the last convolution's maps.

    Parameters
    ----------
    weights, precision
        As `pooled_maps` takes them.

    Returns
    -------
    callable
        From pixels (n, 224, 224, 3) in [0, 1] and pooled regions (n, 224, 224), int8, 1 inside, 0 outside, -1 for the
        lungs that are found, to features (n, 3328), float32, lung masks (n, 224, 224), bool, and maps
        (n, 14, 14, 512), float32. The decoder itself always runs in float32.
    """
    import tensorflow as tf

    maps = pooled_maps(weights, precision)
    lungs = lung_decoder.compiled(lung_decoder.read())

    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32), tf.TensorSpec((None, SIZE, SIZE), tf.int8)]

    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels: tf.Tensor, regions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        blocks, convolved = maps(pixels)
        upper_left = tf.reduce_mean(blocks[-1][:, :UPPER_LEFT, :UPPER_LEFT], (1, 2))
        masks = lungs(blocks)[..., 0] > 0
        inside = tf.where(regions < 0, masks, regions > 0)
        pixel_weights = _pixel_weights(tf.cast(inside, tf.float32)[..., None])
        means = [tf.reduce_mean(x, (1, 2)) for x in blocks]
        inner = [_mean_inside(x, pixel_weights) for x in blocks]
        return tf.concat([upper_left, *means, *inner], axis=1), masks, convolved

    return forward


def _pixel_weights(inside: tf.Tensor) -> tf.Tensor:
    """Return each pixel's weight (n, 224, 224, 1), given a region (n, 224, 224, 1) of 0 and 1; they add up to 1.

    Equal inside the region, and everywhere where it is empty. By the saved model's softmax: both round equally.
    """
    import tensorflow as tf

    weights = tf.nn.softmax(STEEPNESS * tf.reshape(inside, (-1, SIZE * SIZE)), axis=1)
    return tf.reshape(weights, (-1, SIZE, SIZE, 1))


def _mean_inside(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the mean of a map (n, cells, cells, channels), its cells weighted by the pixels that they cover."""
    import tensorflow as tf

    cells, channels = x.shape[1], x.shape[3]
    side = SIZE // cells
    shares = tf.reshape(side**2 * tf.nn.avg_pool2d(weights, side, side, "VALID"), (-1, cells * cells))
    return tf.einsum("nk,nkc->nc", shares, tf.reshape(x, (-1, cells * cells, channels)))
