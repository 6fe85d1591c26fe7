"""Groups and arrays of an untrusted HDF5 file: such a file can point to others, and expand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector import InputError

if TYPE_CHECKING:
    import h5py


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group that lies in the file itself."""
    return _own(parent, name, "Group")


def raw(parent: h5py.Group, name: str, most: int) -> bytes:
    """Read a row of at most `most` bytes of a group; none where there is no such data set."""
    if name not in parent:
        return b""
    data = _own(parent, name, "Dataset")
    if data.ndim != 1 or data.dtype != np.uint8 or data.shape[0] > most:
        raise InputError(f"{name} has shape {data.shape} and type {data.dtype}, not up to {most} bytes")
    return _stored(data).tobytes()


def array(parent: h5py.Group, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array of a group whose shape is known beforehand, float32 and finite."""
    return values(_own(parent, name, "Dataset"), shape)


def values(data: h5py.Dataset, shape: tuple[int, ...]) -> np.ndarray:
    """Read a data set as `array` does."""
    if data.shape != shape or data.dtype != np.float32:
        raise InputError(f"{data.name} has shape {data.shape} and type {data.dtype}, not {shape} and float32")
    found = _stored(data)
    if not np.isfinite(found).all():
        raise InputError(f"{data.name} has values that are not finite")
    return found


def _own(parent: h5py.Group, name: str, kind: str) -> Any:  # noqa: ANN401
    """Return a group or a data set that lies in the file itself."""
    import h5py

    is_own = isinstance(parent.get(name, getlink=True), h5py.HardLink)
    if not is_own or not isinstance(parent[name], getattr(h5py, kind)):
        raise InputError(f"it has no {kind.lower()} {name!r} of its own")
    return parent[name]


def _stored(data: h5py.Dataset) -> np.ndarray:
    """Read a data set whose values lie in the file as they are, and nowhere else."""
    if data.external or data.is_virtual or data.chunks is not None:
        raise InputError(f"{data.name} is stored outside of the file or compressed")
    return data[()]
