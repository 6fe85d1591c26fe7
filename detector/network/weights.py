"""VGG16's ImageNet weights: their layers, how a file is read, and the digest that they must have.

Reference: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.files import hdf5

if TYPE_CHECKING:
    import h5py

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
    for data in _numbers(weights):
        total.update(data)
    return total.hexdigest()


def _numbers(weights: Weights) -> Iterator[bytes]:
    """Yield every layer's kernel, then bias, as little-endian float32."""
    for layer in LAYERS:
        for array in weights[layer]:
            yield np.ascontiguousarray(array, "<f4").tobytes()


def require_imagenet(weights: Weights, name: object) -> Weights:
    """Return `weights` if they are VGG16's ImageNet weights, bit for bit.

    Raises
    ------
    InputError
    """
    if digest(weights) != DIGEST:
        raise InputError(f"{name} does not hold VGG16's ImageNet weights (their digest differs); delete or replace it")
    return weights


def read(file: Path) -> Weights:
    """Read the 13 convolution layers of an HDF5 file as Keras writes it: a group a layer, kernel and bias within.

    Raises
    ------
    InputError
        If the file is missing, not HDF5, or lacks a layer or has it in another shape.
    """
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return {layer: _read_layer(opened, i) for i, layer in enumerate(LAYERS)}
    # h5py raises nearly anything for a file that is damaged on purpose.
    except Exception as error:
        # h5py's message on a damaged file does not help a user; the name of what is missing in a whole one does.
        reason = f" ({first_line(error)})" if isinstance(error, ValueError) else ""
        raise InputError(
            f"{file} is not a readable HDF5 file of VGG16's weights{reason}; replace or remove it"
        ) from None


def _read_layer(opened: h5py.File, index: int) -> tuple[np.ndarray, np.ndarray]:
    import h5py

    wanted = shapes(index)
    found: dict[tuple[int, ...], h5py.Dataset] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        # The shape is looked at before a byte of it is read: a header may claim terabytes.
        if isinstance(item, h5py.Dataset) and item.shape in wanted:
            found[item.shape] = item

    hdf5.group(opened, LAYERS[index]).visititems(visit)
    if len(found) != 2:
        raise ValueError(f"{LAYERS[index]} lacks a kernel of shape {wanted[0]} or its bias")
    kernel, bias = (hdf5.values(found[shape], shape) for shape in wanted)
    return kernel, bias


def as_kept(weights: Weights) -> bytes:
    """Return weights as `read_kept` reads them: nothing but the numbers, so that the file's SHA-256 is `DIGEST`."""
    return b"".join(_numbers(weights))


def read_kept(file: Path) -> Weights:
    """Read weights as `as_kept` gives them. There is no format that damage could turn against its reader.

    Raises
    ------
    InputError
        If there are more or fewer numbers.
    """
    numbers, at = np.fromfile(file, "<f4"), 0
    found: Weights = {}
    for i, layer in enumerate(LAYERS):
        arrays = []
        for shape in shapes(i):
            size = math.prod(shape)
            if at + size > len(numbers):
                raise InputError(f"{file} is too short")
            arrays.append(numbers[at : at + size].reshape(shape))
            at += size
        kernel, bias = arrays
        found[layer] = kernel, bias
    if at != len(numbers):
        raise InputError(f"{file} is too long")
    return found


def shapes(index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's kernel and bias."""
    return (3, 3, CHANNELS[index], CHANNELS[index + 1]), (CHANNELS[index + 1],)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, cut where it is long; its type where there is none."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
