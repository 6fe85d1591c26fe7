"""Arrays of untrusted HDF5 files."""

from __future__ import annotations

import io

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


def test_bytes_are_read_up_to_a_length(file):
    assert hdf5.raw(file, "bytes", 10) == bytes(range(10))
    assert hdf5.raw(file, "none", 10) == b""
    with rejection(r"bytes has shape \(10,\) and type uint8, not up to 9 bytes"):
        hdf5.raw(file, "bytes", 9)
    with rejection(r"numbers has shape \(2, 3\) and type float32, not up to 99 bytes"):
        hdf5.raw(file, "numbers", 99)


def test_an_array_has_the_shape_that_is_expected(file):
    assert hdf5.array(file, "numbers", (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    with rejection(r"shape \(2, 3\)"):
        hdf5.array(file, "numbers", (3, 2))
    with rejection("not finite"):
        hdf5.array(hdf5.group(file, "inner"), "bias", (2,))


def test_links_and_compressed_arrays_are_rejected(file):
    with rejection("it has no group 'elsewhere' of its own"):
        hdf5.group(file, "elsewhere")
    with rejection("elsewhere"):
        hdf5.raw(file, "elsewhere", 99)
    with rejection("compressed"):
        hdf5.raw(file, "compressed", 99)


def test_a_heap_that_does_not_end_is_rejected():
    """HDF5's library would look for the object after free space of no size for ever."""
    text = "x" * 300
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        file.attrs["a"] = text
    data = stored.getvalue()
    hdf5.require_sound_heaps(data, ["a"])
    at = data.index(b"GCOL") + 16
    while data[at : at + 2] != bytes(2):
        at += 16 + (int.from_bytes(data[at + 8 : at + 16], "little") + 7) // 8 * 8
    with rejection(r"damaged \(a heap that does not end\)"):
        hdf5.require_sound_heaps(data[: at + 8] + bytes(8) + data[at + 16 :], ["a"])


def test_an_attribute_is_read_if_it_is_one_text(file):
    file.attrs["vlen"], file.attrs["fixed"] = "é", np.bytes_(b"abc")
    assert hdf5.text(file, "vlen") == "é"
    assert hdf5.text(file, "fixed") == "abc"
    assert hdf5.text(file, "none") is None
    for value in (["a", "b"], 7, np.zeros(3), h5py.Empty("S1")):
        file.attrs["other"] = value
        assert hdf5.text(file, "other") is None


def test_a_heap_is_followed_past_its_free_space():
    """The size of free space counts from its beginning: an object after it, without a size, is found."""
    head = 40 * b"\xff" + b"GCOL\x01\0\0\0" + (16 + 32 + 16).to_bytes(8, "little")
    free = bytes(8) + (32).to_bytes(8, "little") + bytes(16)
    hdf5.require_sound_heaps(head + free + b"\1" + bytes(7) + bytes(8), ["a"])
    with rejection(r"damaged \(a heap that does not end\)"):
        hdf5.require_sound_heaps(head + free + bytes(16), ["a"])


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_text_longer_than_its_file_is_rejected(libver):
    """HDF5's library would take 4 GB before it finds that there is no such text."""
    stored = io.BytesIO()
    with h5py.File(stored, "w", libver=libver) as file:
        file.attrs["a"], file.attrs["fixed"] = "x" * 300, np.bytes_(b"abcdefgh")
    data = stored.getvalue()
    hdf5.require_sound_heaps(data, ["a", "fixed"])
    at = data.index((300).to_bytes(4, "little") + data.index(b"GCOL").to_bytes(8, "little"))
    # Whether it says the right place or none.
    for place in (data[at + 4 : at + 12], 8 * b"\xfe"):
        with rejection(r"damaged \(a text longer than the file\)"):
            hdf5.require_sound_heaps(data[:at] + (2**32 - 1).to_bytes(4, "little") + place + data[at + 12 :], ["a"])
