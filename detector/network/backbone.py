"""The frozen network: VGG16 without its top, its layers, widths and digest, and what is pooled of its maps.

Reference: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

RECIPES = ("tutorial", "probe")

# The upper-left 4 × 4 cells of block5_pool, the means of blocks 2-5 over the whole image, and those inside the lungs.
POOLINGS = ("tutorial", "global", "lungs")

WIDTH = 3328  # of the features of an input

# The tutorial's recipe reads block 5 only.
COLUMNS = {
    ("tutorial", "tutorial"): slice(0, 512),
    ("tutorial", "global"): slice(1408, 1920),
    ("tutorial", "lungs"): slice(2816, 3328),
    ("probe", "tutorial"): slice(0, 512),
    ("probe", "global"): slice(512, 1920),
    ("probe", "lungs"): slice(1920, 3328),
}

LAYERS = tuple(f"block{block}_conv{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1))

CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)

# The blocks whose output every recipe reads, and the lung decoder too.
CHANNELS_BY_BLOCK = {"block2_pool": 128, "block3_pool": 256, "block4_pool": 512, "block5_pool": 512}

# SHA-256 over each layer's kernel (height, width, in, out) and bias, little-endian float32, in order of `LAYERS`.
DIGEST = "d9a27cc1fc7f975ef8cff49180e794ccd7c4bc868ebb49740803b3bbaa8dbefd"

Weights = dict[str, tuple[np.ndarray, np.ndarray]]


def digest(weights: Weights) -> str:
    """Return the SHA-256 over every layer's kernel, then bias."""
    total = hashlib.sha256()
    for data in layer_bytes(weights):
        total.update(data)
    return total.hexdigest()


def layer_bytes(weights: Weights) -> Iterator[bytes]:
    """Yield every layer's kernel, then bias, as little-endian float32."""
    for layer in LAYERS:
        for array in weights[layer]:
            yield np.ascontiguousarray(array, "<f4").tobytes()


def shapes(index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's kernel and bias."""
    return (3, 3, CHANNELS[index], CHANNELS[index + 1]), (CHANNELS[index + 1],)


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
