"""DICOM images of floats are shown as any other; NaN and the padding value are padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import rejection
from image_helpers import write_dicom

from detector.images import phantom
from detector.images.read import read

GREY = phantom.draw(True, 0)


def write(path: Path, values: np.ndarray, kind: str = "MONOCHROME2", **elements: object) -> None:
    import pydicom

    write_dicom(path, GREY, 8, kind)
    dataset = pydicom.dcmread(path)
    double = values.dtype == np.float64
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation", "BitsAllocated"):
        delattr(dataset, name)
    dataset.BitsAllocated = 64 if double else 32
    setattr(dataset, "DoubleFloatPixelData" if double else "FloatPixelData", values.tobytes())
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("slope", "offset"), [(1 / 255, 0), (1, 0), (4095 / 255, 0), (1, -1000)])
def test_floats_are_shown_at_their_range(tmp_path, kind, slope, offset):
    write(tmp_path / "a.dcm", (GREY.astype(float) * slope + offset).astype(kind))
    found = read(tmp_path / "a.dcm", GREY.shape[0])
    low, high = np.percentile(GREY, [0.1, 99.9])
    expected = GREY if offset == 0 else np.clip((GREY - low) / (high - low) * 255, 0, 255)
    assert np.abs(found.pixels[..., 0].astype(int) - expected).max() <= 2
    assert (found.note, found.format) == ("", "DICOM")


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("value", [np.nan, -3000.0])
def test_padding_is_left_out_and_black(tmp_path, kind, value):
    values = (255 - GREY if kind == "MONOCHROME1" else GREY).astype(np.float32) * 16
    values[:, :100] = value
    elements = {} if np.isnan(value) else {"FloatPixelPaddingValue": value}
    write(tmp_path / "a.dcm", values, kind, **elements)
    found = read(tmp_path / "a.dcm", GREY.shape[0]).pixels[..., 0]
    assert not found[:, :100].any()
    assert np.abs(found[:, 100:].astype(int) - GREY[:, 100:]).max() <= 2


def test_what_a_header_lacks_is_filled_in_and_what_is_no_image_rejected(tmp_path):
    write(tmp_path / "a.dcm", GREY.astype(np.float32), PhotometricInterpretation="")
    found = read(tmp_path / "a.dcm", GREY.shape[0])
    assert found.note == "its header lacks or contradicts, and is read as, PhotometricInterpretation MONOCHROME2"
    values = np.full(GREY.shape, np.nan, np.float32)
    values[:9] = GREY[:9]
    write(tmp_path / "b.dcm", values)
    with rejection("pixel values that are not finite"):
        read(tmp_path / "b.dcm")
