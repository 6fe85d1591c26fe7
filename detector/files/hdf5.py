"""Groups and arrays of an untrusted HDF5 file: such a file can point to others, and expand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector import InputError

if TYPE_CHECKING:
    import h5py


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
