"""Arrays of untrusted HDF5 files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from conftest import rejection

from detector.files import hdf5


@pytest.fixture
def file(tmp_path):
    """Return an open HDF5 file with bytes, numbers, a link to elsewhere and a compressed array."""
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened["bytes"] = np.arange(10, dtype=np.uint8)
        opened["numbers"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        opened["elsewhere"] = h5py.ExternalLink("/etc/hostname", "x")
        opened.create_dataset("compressed", data=np.zeros(9, np.uint8), compression="gzip")
        opened.create_group("inner")["bias"] = np.array([1.0, np.nan], np.float32)
        yield opened


def test_bytes_and_arrays_are_read(file):
    assert (hdf5.raw(file, "bytes", 10), hdf5.raw(file, "none", 10)) == (bytes(range(10)), b"")
    assert hdf5.array(file, "numbers", (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda file: hdf5.raw(file, "bytes", 9), r"bytes has shape \(10,\) and type uint8, not up to 9 bytes"),
        (lambda file: hdf5.raw(file, "numbers", 99), r"numbers has shape \(2, 3\) and type float32, not up to 99"),
        (lambda file: hdf5.array(file, "numbers", (3, 2)), r"shape \(2, 3\)"),
        (lambda file: hdf5.array(hdf5.group(file, "inner"), "bias", (2,)), "not finite"),
        (lambda file: hdf5.group(file, "elsewhere"), "it has no group 'elsewhere' of its own"),
        (lambda file: hdf5.raw(file, "elsewhere", 99), "elsewhere"),
        (lambda file: hdf5.raw(file, "compressed", 99), "compressed"),
    ],
)
def test_links_compressed_arrays_and_other_shapes_are_rejected(file, read, said):
    with rejection(said):
        read(file)
