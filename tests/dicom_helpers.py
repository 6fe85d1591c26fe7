"""A DICOM radiograph of any transfer syntax."""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID


def dicom(syntax: str, rows: int, columns: int, bits: int) -> FileDataset:
    """Return a DICOM radiograph of a transfer syntax, without its pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.1.1"), UID("1.2.3")
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME1", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    return dataset


def small_dicom(**elements: str) -> bytes:
    """Return a file of 20 × 24 pixels."""
    dataset = dicom("1.2.840.10008.1.2.1", 20, 24, 16)
    dataset.PixelData = (np.arange(480, dtype="<u2") * 8).tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    data = io.BytesIO()
    dataset.save_as(data, enforce_file_format=True)
    return data.getvalue()
