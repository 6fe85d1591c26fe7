"""The frozen network: VGG16 without its top, its layers, widths and digest, and what is pooled of its maps.

What the network is stands here and nowhere else: the compiled pass, the saved model, the lung decoder and Grad-CAM read
it from here, and another network would be another such description.

Reference: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector.images.read import SIZE

if TYPE_CHECKING:
    import tensorflow as tf

NAME = "VGG16, ImageNet, no top, frozen"
BLOCKS = {"block1": (2, 64), "block2": (2, 128), "block3": (3, 256), "block4": (3, 512), "block5": (3, 512)}
# Each convolution, in order, with its input and output channels; after those of a block, a pooling halves the map.
LAYERS: dict[str, tuple[int, int]] = {}
for _block, (_count, _width) in BLOCKS.items():
    for _i in range(1, _count + 1):
        LAYERS[f"{_block}_conv{_i}"] = (next(reversed(LAYERS.values()))[1] if LAYERS else 3, _width)
# The maps that every recipe and the lung decoder read, with their channels, and the rows and columns of each.
MAPS = {f"{block}_pool": width for block, (_, width) in BLOCKS.items() if block != "block1"}
CELLS = {f"{block}_pool": SIZE >> depth for depth, block in enumerate(BLOCKS, 1)}
LAST_MAP = list(MAPS)[-1]
LAST_CELLS = 2 * CELLS[LAST_MAP]  # rows and columns of the last convolution, which a heat map has, too
# SHA-256 over each layer's kernel (height, width, in, out) and bias, little-endian float32, in order of `LAYERS`.
DIGEST = "d9a27cc1fc7f975ef8cff49180e794ccd7c4bc868ebb49740803b3bbaa8dbefd"

# The upper-left 4 × 4 cells of the last map, the means of all maps over the whole image, and those inside the lungs.
POOLINGS = ("tutorial", "global", "lungs")
# The tutorial's 4 × 4 pooling fits into a map of 7 × 7 once: into the upper left.
UPPER_LEFT = 4
STEEPNESS = 30.0  # of the softmax over pixels: one outside the lungs weighs e^-30 of one inside
_LAST, _ALL = MAPS[LAST_MAP], sum(MAPS.values())
WIDTH = _LAST + 2 * _ALL  # of the features of an image, as `pool` returns them
# Which of them a recipe reads under a pooling: the probe those of all maps, the tutorial's those of the last.
COLUMNS = {
    ("tutorial", "tutorial"): slice(0, _LAST),
    ("tutorial", "global"): slice(_ALL, _LAST + _ALL),
    ("tutorial", "lungs"): slice(WIDTH - _LAST, WIDTH),
    ("probe", "tutorial"): slice(0, _LAST),
    ("probe", "global"): slice(_LAST, _LAST + _ALL),
    ("probe", "lungs"): slice(_LAST + _ALL, WIDTH),
}

Weights = dict[str, tuple[np.ndarray, np.ndarray]]  # kernel and bias of each of `LAYERS`


def shapes(layer: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's kernel and bias."""
    return (3, 3, *LAYERS[layer]), LAYERS[layer][1:]


def arranged(numbers: np.ndarray, wanted: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Cut numbers in a row into arrays of some shapes; ValueError unless there are as many as these hold."""
    parts = np.split(numbers, np.cumsum([math.prod(shape) for shape in wanted])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, wanted, strict=True)]


def layer_bytes(weights: Weights) -> Iterator[bytes]:
    """Yield every layer's kernel, then bias, as little-endian float32."""
    for layer in LAYERS:
        for array in weights[layer]:
            yield np.ascontiguousarray(array, "<f4").tobytes()


def digest(weights: Weights) -> str:
    """Return the SHA-256 over every layer's kernel, then bias."""
    total = hashlib.sha256()
    for data in layer_bytes(weights):
        total.update(data)
    return total.hexdigest()


def pooled_maps(weights: Weights) -> Callable[[tf.Tensor], tuple[list[tf.Tensor], tf.Tensor]]:
    """Return a function from pixels (n, 224, 224, 3) in [0, 1] to the `MAPS`, and to the last convolution's output.

    For use in a compiled function. The layers are written out rather than taken from Keras' model: weights that are
    constants are brought into the CPU's preferred layout once instead of in every batch.
    """
    import tensorflow as tf

    constants = {name: [tf.constant(array) for array in pair] for name, pair in weights.items()}

    def maps(pixels: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        x, found = pixels, []
        for block, (count, _) in BLOCKS.items():
            for i in range(1, count + 1):
                kernel, bias = constants[f"{block}_conv{i}"]
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            convolved, x = x, halved(x)
            found += [x] if f"{block}_pool" in MAPS else []
        return found, convolved

    return maps


def halved(x: tf.Tensor) -> tf.Tensor:
    """Return the pooling that ends a block."""
    import tensorflow as tf

    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def pool(maps: list[tf.Tensor], inside: tf.Tensor) -> tf.Tensor:
    """Return features (n, `WIDTH`) of the `MAPS`, as `COLUMNS` orders them, given a region (n, 224, 224), bool.

    A cell of a map weighs what it covers of the region; in an empty region every cell weighs the same.
    """
    import tensorflow as tf

    weights = tf.reshape(cell_weights(inside), (-1, SIZE, SIZE, 1))
    found = [tf.reduce_mean(maps[-1][:, :UPPER_LEFT, :UPPER_LEFT], (1, 2))]
    found += [tf.reduce_mean(x, (1, 2)) for x in maps]
    for x in maps:
        cells, channels = x.shape[1], x.shape[3]
        side = SIZE // cells
        shares = tf.reshape(side**2 * tf.nn.avg_pool2d(weights, side, side, "VALID"), (-1, cells * cells))
        found.append(tf.einsum("nk,nkc->nc", shares, tf.reshape(x, (-1, cells * cells, channels))))
    return tf.concat(found, axis=1)


def cell_weights(inside: tf.Tensor) -> tf.Tensor:
    """Return the weight of each pixel, (n, 224 · 224), adding up to 1, by the softmax that the saved model has."""
    import tensorflow as tf

    return tf.nn.softmax(STEEPNESS * tf.reshape(tf.cast(inside, tf.float32), (-1, SIZE * SIZE)), axis=1)
