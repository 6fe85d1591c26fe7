"""Groups and arrays of an untrusted HDF5 file: such a file can point to others, and expand."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError

if TYPE_CHECKING:
    import h5py

HEAP = rb"GCOL\x01\0\0\0"  # how a global heap begins (HDF5 file format specification, III.E)
BEFORE_NAME = {1: 8, 2: 8, 3: 9}  # bytes of an attribute, by the version that the first of them holds (IV.A.2.m)
VARIABLE_LENGTH = 9  # class of a type (IV.A.2.d)


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group that lies in the file itself.

    Raises
    ------
    InputError
    """
    import h5py

    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Group):
        raise InputError(f"it has no group {name!r} of its own")
    return parent[name]


def require_sound_heaps(data: bytes, names: Sequence[str]) -> None:
    """Reject a file on whose texts HDF5's library would hang, or take gigabytes, before it finds them damaged.

    Texts lie in heaps, each object with its size; free space without a size makes the library look for the next object
    for ever. An attribute says again how long its text is; that much memory is taken before it is read.

    Parameters
    ----------
    data : bytes
        The file.
    names : sequence of str
        Attributes that will be read.

    Raises
    ------
    InputError
    """
    for match in re.finditer(HEAP, data):
        (size,) = struct.unpack_from("<Q", data, match.start() + 8) if match.start() + 16 <= len(data) else (0,)
        at, end = match.start() + 16, min(match.start() + size, len(data))
        while at + 16 <= end:
            number, length = struct.unpack_from("<H6xQ", data, at)
            if number == length == 0:
                raise InputError("damaged (a heap that does not end)")
            # The size of free space counts from its own beginning, that of an object from its end.
            at += length if number == 0 else 16 + (length + 7) // 8 * 8
    for name in names:
        for match in re.finditer(re.escape(f"{name}\0".encode()), data):
            if any(_length(data, match.start(), version) > len(data) for version in BEFORE_NAME):
                raise InputError("damaged (a text longer than the file)")


def _length(data: bytes, name: int, version: int) -> int:
    """Return how long an attribute of a version says that its text of variable length is.

    0 if there is no such attribute, whose name would begin at `name`.
    """
    start = name - BEFORE_NAME[version]
    if start < 0 or data[start] != version:
        return 0
    sizes = struct.unpack_from("<3H", data, start + 2)  # of name, type and shape
    of_name, of_type, of_shape = ((size + 7) // 8 * 8 if version == 1 else size for size in sizes)
    kind, value = name + of_name, name + of_name + of_type + of_shape
    if value + 4 > len(data) or data[kind] & 0xF != VARIABLE_LENGTH:
        return 0
    return int.from_bytes(data[value : value + 4], "little")


def text(parent: h5py.Group, name: str) -> str | None:
    """Return an attribute that is one text; None where there is none of that name, or where it is anything else.

    HDF5's library crashes on some arrays and types of a damaged file.
    """
    import h5py

    if name not in parent.attrs:
        return None
    attribute = parent.attrs.get_id(name)
    if attribute.shape != () or attribute.get_type().get_class() != h5py.h5t.STRING:
        return None
    value = parent.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def raw(parent: h5py.Group, name: str, most: int) -> bytes:
    """Read a row of bytes of a group; none where there is no such data set.

    Raises
    ------
    InputError
        If it is anything else, longer than `most`, stored elsewhere or compressed.
    """
    if name not in parent:
        return b""
    data = _own(parent, name, name)
    if data.ndim != 1 or data.dtype != np.uint8 or data.shape[0] > most:
        raise InputError(f"{name} has shape {data.shape} and type {data.dtype}, not up to {most} bytes")
    return _stored(data, name).tobytes()


def array(parent: h5py.Group, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array of a group, as `values` does.

    Raises
    ------
    InputError
    """
    return values(_own(parent, name, f"{parent.name}/{name}"), shape)


def values(data: h5py.Dataset, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array whose shape is known beforehand.

    Parameters
    ----------
    data : h5py.Dataset
    shape : tuple of int

    Returns
    -------
    ndarray of that shape, float32, finite

    Raises
    ------
    InputError
        If it has another shape or type, is stored elsewhere or compressed, or is not finite.
    """
    if data.shape != shape or data.dtype != np.float32:
        raise InputError(f"{data.name} has shape {data.shape} and type {data.dtype}, not {shape} and float32")
    found = _stored(data, data.name)
    if not np.isfinite(found).all():
        raise InputError(f"{data.name} has values that are not finite")
    return found


def _own(parent: h5py.Group, name: str, shown: str) -> h5py.Dataset:
    """Return a data set that lies in the file itself; errors call it `shown`."""
    import h5py

    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Dataset):
        raise InputError(f"{shown} is not in the file itself")
    return parent[name]


def _stored(data: h5py.Dataset, shown: str) -> np.ndarray:
    """Read a data set whose values lie in the file as they are, and nowhere else."""
    if data.external or data.is_virtual or data.chunks is not None:
        raise InputError(f"{shown} is stored outside of the file or compressed")
    return data[()]
