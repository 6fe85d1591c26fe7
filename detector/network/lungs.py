"""Lungs in a radiograph, found by a small decoder on the maps of the frozen network.

Reference for decoders on the maps of a frozen encoder: J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks
for semantic segmentation", CVPR 2015. `lung_decoder.md` says what its weights were fitted to, and under which licence.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.network.backbone import MAPS, SIZE, arranged

if TYPE_CHECKING:
    import tensorflow as tf

FILE = Path(__file__).with_name("lung_decoder.npy")
# SHA-256 of that file; `make lungs` prints the one of a new file.
DIGEST = "c3f282fc496ee5fb73ed48b9b04d7c4bcbd1d77353a890f5a109586f4eb692ea"
CELLS = 56  # rows and columns of the largest map, on which it works
WIDTH = 40  # channels
DILATIONS = (1, 2, 4, 8)
# What is typical of each map where anything is found (mean of the positive values, on the masks' own images). Softsign
# of a map over it does what a logarithm would, and is a layer that every Keras knows.
TYPICAL = dict(zip(MAPS, (5.0, 10.0, 2.5, 0.5), strict=True))

Arrays = list[np.ndarray]  # kernel and bias of each convolution of `shapes`, float32


def shapes() -> list[tuple[str, tuple[int, ...]]]:
    """Return the name of each convolution of the decoder, in order, with the shape of its kernel."""
    return [
        *((f"lungs_{name.partition('_')[0]}", (1, 1, width, WIDTH)) for name, width in MAPS.items()),
        *((f"lungs_dilated{dilation}", (3, 3, WIDTH, WIDTH)) for dilation in DILATIONS),
        ("lungs_cells", (1, 1, WIDTH, 1)),
    ]


def read(path: Path = FILE, digest: str = DIGEST) -> Arrays:
    """Read the decoder's weights; the file must be the one with this SHA-256."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path} was changed: it is not the lung decoder that this program was made with")
    wanted = [part for _, shape in shapes() for part in (shape, shape[-1:])]
    return arranged(np.lib.format.read_array(io.BytesIO(data)), wanted)


def compiled(weights: Arrays) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    """Return a function from the network's maps to logits of being lung (n, 224, 224, 1), for use in a compiled one."""
    import tensorflow as tf

    kernels, biases = weights[::2], weights[1::2]

    def convolved(x: tf.Tensor, index: int, dilation: int = 1) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(x, kernels[index], 1, "SAME", dilations=dilation), biases[index])

    def enlarged(x: tf.Tensor, cells: int) -> tf.Tensor:
        return x if x.shape[1] == cells else tf.image.resize(x, (cells, cells), "bilinear")

    def logits(maps: Sequence[tf.Tensor]) -> tf.Tensor:
        scaled = [x * (1.0 / typical) for x, typical in zip(maps, TYPICAL.values(), strict=True)]
        parts = [enlarged(convolved(tf.nn.softsign(x), index), CELLS) for index, x in enumerate(scaled)]
        x = tf.nn.relu(parts[0] + parts[1] + parts[2] + parts[3])
        for index, dilation in enumerate(DILATIONS, len(parts)):
            x = tf.nn.relu(convolved(x, index, dilation))
        return enlarged(convolved(x, len(kernels) - 1), SIZE)

    return logits
