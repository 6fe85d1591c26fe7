"""The frozen network: VGG16 without its top, what is pooled of its maps, and the decoder that finds lungs on them.

What the network is stands here and nowhere else: the forward pass, the saved model and Grad-CAM read it from here, and
another network would be another such description. `lung_decoder.md` says what the decoder's weights were fitted to, and
under which licence.

References: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015;
for decoders on the maps of a frozen encoder, J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for
semantic segmentation", CVPR 2015.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from detector import InputError
from detector.images.read import SIZE

NAME = "VGG16, ImageNet, no top, frozen"
BLOCKS = {"block1": (2, 64), "block2": (2, 128), "block3": (3, 256), "block4": (3, 512), "block5": (3, 512)}
_CONVOLUTIONS = [(f"{block}_conv{i}", width) for block, (n, width) in BLOCKS.items() for i in range(1, n + 1)]
# Each convolution, in order, with the shape of its kernel; after those of a block, a pooling halves the map.
LAYERS = {name: (3, 3, inputs, outputs) for (_, inputs), (name, outputs) in pairwise([("", 3), *_CONVOLUTIONS])}
# The maps that every recipe and the lung decoder read, with their channels.
MAPS = {f"{block}_pool": width for block, (_, width) in BLOCKS.items() if block != "block1"}
LAST_MAP = list(MAPS)[-1]
HEAT_CELLS = SIZE >> (len(BLOCKS) - 1)  # rows and columns of the last convolution, which a heat map has, too
# SHA-256 of the weights, as `as_bytes` has them.
DIGEST = "d9a27cc1fc7f975ef8cff49180e794ccd7c4bc868ebb49740803b3bbaa8dbefd"

# The upper-left 4 × 4 cells of the last map, the means of all maps over the whole image, and those inside the lungs.
POOLINGS = ("tutorial", "global", "lungs")
# The tutorial's 4 × 4 pooling fits into a map of 7 × 7 once: into the upper left.
UPPER_LEFT = 4
STEEPNESS = 30.0  # of the softmax over pixels: one outside the lungs weighs e^-30 of one inside
_LAST, _ALL = MAPS[LAST_MAP], sum(MAPS.values())
WIDTH = _LAST + 2 * _ALL  # of the features of an image, as `forward.pool` returns them
# Which of them a recipe reads under a pooling: the probe those of all maps, the tutorial's those of the last.
COLUMNS = {
    ("tutorial", "tutorial"): slice(0, _LAST),
    ("tutorial", "global"): slice(_ALL, _LAST + _ALL),
    ("tutorial", "lungs"): slice(WIDTH - _LAST, WIDTH),
    ("probe", "tutorial"): slice(0, _LAST),
    ("probe", "global"): slice(_LAST, _LAST + _ALL),
    ("probe", "lungs"): slice(_LAST + _ALL, WIDTH),
}

DECODER_FILE = Path(__file__).with_name("lung_decoder.npy")
# SHA-256 of that file; `make lungs` prints the one of a new file.
DECODER_DIGEST = "c3f282fc496ee5fb73ed48b9b04d7c4bcbd1d77353a890f5a109586f4eb692ea"
DECODER_CELLS = 56  # rows and columns of the largest map, on which it works
DECODER_WIDTH = 40  # channels
DILATIONS = (1, 2, 4, 8)
# What is typical of each map where anything is found (mean of the positive values, on the masks' own images). Softsign
# of a map over it does what a logarithm would, and is a layer that every Keras knows.
TYPICAL = dict(zip(MAPS, (5.0, 10.0, 2.5, 0.5), strict=True))
DECODER_LAYERS = {
    **{f"lungs_{name.partition('_')[0]}": (1, 1, width, DECODER_WIDTH) for name, width in MAPS.items()},
    **{f"lungs_dilated{dilation}": (3, 3, DECODER_WIDTH, DECODER_WIDTH) for dilation in DILATIONS},
    "lungs_cells": (1, 1, DECODER_WIDTH, 1),
}

Weights = dict[str, tuple[np.ndarray, np.ndarray]]  # kernel and bias of each of `LAYERS`, or of `DECODER_LAYERS`


def arranged(numbers: np.ndarray, layers: Mapping[str, tuple[int, ...]]) -> Weights:
    """Cut numbers in a row into the kernel and the bias of each layer, given the shapes of the kernels."""
    shapes = [shape for kernel in layers.values() for shape in (kernel, kernel[-1:])]
    parts = np.split(numbers, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return dict(zip(layers, zip(arrays[::2], arrays[1::2], strict=True), strict=True))


def read_decoder() -> Weights:
    """Read the lung decoder's weights; the file must be the one with the SHA-256 that stands above."""
    data = DECODER_FILE.read_bytes()
    if hashlib.sha256(data).hexdigest() != DECODER_DIGEST:
        raise InputError(f"{DECODER_FILE} was changed: it is not the lung decoder that this program was made with")
    return arranged(np.lib.format.read_array(io.BytesIO(data)), DECODER_LAYERS)


def as_bytes(weights: Weights) -> bytes:
    """Return every layer's kernel, then bias, as little-endian float32."""
    return b"".join(np.ascontiguousarray(array, "<f4").tobytes() for pair in weights.values() for array in pair)


def digest(weights: Weights) -> str:
    """Return the SHA-256 over every layer's kernel, then bias."""
    return hashlib.sha256(as_bytes(weights)).hexdigest()


def seen_cells(columns: slice) -> int:
    """Return how many rows and columns of a heat map, from the upper left, a head sees that reads these features."""
    return 2 * UPPER_LEFT if columns == COLUMNS["tutorial", "tutorial"] else HEAT_CELLS
