"""Small DICOM radiographs to begin fuzzing with, and radiographs of which any attribute may hold anything."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom.datadict import dictionary_VR, tag_for_keyword

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

# What dicom.py and pydicom's decoders read of an image, and what may stand there instead of what should.
ATTRIBUTES = (
    *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "RescaleSlope", "RescaleIntercept"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleType", "PatientAge", "PatientSex", "ViewPosition"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
)
EXTREMES: tuple[bytes | str, ...] = (
    *("missing", "1e308", "-1e308", "1e-308", "0", "-1", "nan", "inf", "text", "1\\2\\3", "1" * 60, "058Y", "\x1b[31m"),
    *(b"\0\0", b"\1\0", b"\3\0", b"\x08\0", b"\xff\xff", b"\0\x80", b"\0\0\0\0", b"MONOCHROME1 ", b"SIGMOID ", b"RGB "),
    *(b" ", b"", b"LINEAR_EXACT", b"1e12", b"65535", b"4096"),
)


def dicom(syntax: str, rows: int, columns: int, bits: int) -> FileDataset:
    """Return a DICOM radiograph of a transfer syntax, without its pixels."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.1.1"), UID("1.2.3")
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME1", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    return dataset


def dicom_seeds() -> list[bytes]:
    """Return radiographs of several transfer syntaxes."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

    values = (np.arange(24 * 20, dtype=np.uint16).reshape(20, 24) * 8).astype("<u2")
    eight = Image.fromarray((values // 16).astype(np.uint8))
    seeds = []
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000Lossless, "RLE"):
        bits = 8 if syntax in (JPEGBaseline8Bit, JPEG2000Lossless) else 16
        dataset = dicom(ExplicitVRLittleEndian if syntax == "RLE" else syntax, 20, 24, bits)
        if bits == 16:
            dataset.WindowCenter, dataset.WindowWidth = "2000", "3000"
            dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-100"
            dataset.PixelData = values.tobytes()
        else:
            data = io.BytesIO()
            eight.save(data, "JPEG" if syntax == JPEGBaseline8Bit else "JPEG2000", no_jp2=True)
            dataset.PixelData = encapsulate([data.getvalue()])
        if syntax == "RLE":
            from pydicom.uid import RLELossless

            dataset.compress(RLELossless)
        data = io.BytesIO()
        dataset.save_as(data, enforce_file_format=True)
        seeds.append(data.getvalue())
    return seeds


def attribute_seeds() -> list[bytes]:
    """Return a choice of every attribute with every value, one at a time, and some together."""
    alone = [bytes([name, value, 0]) for name in range(len(ATTRIBUTES)) for value in range(len(EXTREMES))]
    return [*alone, *(b"".join(alone[start::97]) for start in range(20))]


def radiograph_with(values: Mapping[str, bytes | str]) -> bytes:
    """Return a DICOM radiograph with attributes of any bytes; ``"missing"`` leaves one out.

    Written by hand, since pydicom rejects what a scanner, or an attacker, may have written.
    """
    pixels = bytes(range(0, 240)) * 4
    elements: dict[str, bytes | str] = {
        "SamplesPerPixel": b"\1\0",
        "PhotometricInterpretation": b"MONOCHROME2 ",
        "Rows": (20).to_bytes(2, "little"),
        "Columns": (24).to_bytes(2, "little"),
        "BitsAllocated": b"\x10\0",
        "BitsStored": b"\x0c\0",
        "HighBit": b"\x0b\0",
        "PixelRepresentation": b"\0\0",
        **values,
    }
    body = b""
    for name in sorted(elements, key=lambda name: tag_for_keyword(name) or 0):
        value, tag = elements[name], tag_for_keyword(name) or 0
        if value == "missing":
            continue
        value = value.encode() if isinstance(value, str) else value
        value += b" " * (len(value) % 2)
        body += (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        body += dictionary_VR(tag).encode()[:2] + len(value).to_bytes(2, "little") + value
    tail = b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels
    return _meta_information() + body + tail


@functools.cache
def _meta_information() -> bytes:
    data = io.BytesIO()
    radiograph = dicom("1.2.840.10008.1.2.1", 20, 24, 16)
    radiograph.PixelData = bytes(960)
    radiograph.save_as(data, enforce_file_format=True)
    whole = data.getvalue()
    # The group's length, after the mark and its own head, says where the data set begins.
    return whole[: 144 + int.from_bytes(whole[140:144], "little")]
