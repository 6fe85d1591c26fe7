"""Grey values of DICOM: windows, rescaling, sign."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import rejection
from image_helpers import require_near, write_dicom
from pydicom import dcmread

from detector.images import dicom_values
from detector.images.dicom_values import NO_WINDOW
from detector.images.read import read


def test_window_rescaling_and_sign_are_applied(tmp_path, grey):
    write_dicom(tmp_path / "w.dcm", grey.astype(int) + 1000, 12, "MONOCHROME2", WindowCenter=1128, WindowWidth=256)
    require_near(tmp_path / "w.dcm", grey, 1.5)
    write_dicom(
        tmp_path / "s.dcm", grey.astype(int) * 16 - 2048, 12, "MONOCHROME2", RescaleSlope=2, RescaleIntercept=-5
    )
    require_near(tmp_path / "s.dcm", grey, 1.5)


UNUSABLE = [
    {"WindowCenter": 100, "WindowWidth": 0},
    {"WindowCenter": 100, "WindowWidth": -5},
    {"WindowCenter": 100, "WindowWidth": "0.5"},
    {"WindowCenter": 100},
    {"WindowWidth": 100},
    {"WindowCenter": "1e300", "WindowWidth": 100},
    {"WindowCenter": "", "WindowWidth": ""},
    {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": "CUBIC"},
    {"WindowCenter": 100, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
]


@pytest.mark.parametrize("window", UNUSABLE, ids=str)
def test_a_window_that_is_unusable_is_ignored(tmp_path, grey, window, capfd):
    write_dicom(tmp_path / "w.dcm", grey.astype(int) * 16, 12, "MONOCHROME2", **window)
    write_dicom(tmp_path / "plain.dcm", grey.astype(int) * 16, 12, "MONOCHROME2")
    shown, plain = read(tmp_path / "w.dcm"), read(tmp_path / "plain.dcm")
    assert np.array_equal(shown.pixels, plain.pixels)
    assert (shown.note, plain.note) == (NO_WINDOW, "")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("elements", [{"RescaleSlope": "1e308"}, {"RescaleSlope": 0}, {"RescaleIntercept": "-1e200"}])
def test_rescaling_that_cannot_be_used_is_left_out_with_a_note(tmp_path, grey, elements, capfd):
    write_dicom(tmp_path / "w.dcm", grey.astype(int) * 16, 12, "MONOCHROME2", **elements)
    require_near(tmp_path / "w.dcm", grey, 1)
    assert read(tmp_path / "w.dcm").note == dicom_values.NO_RESCALING
    assert capfd.readouterr().err == ""


LEFT_ALIGNED = {"HighBit": 15}


@pytest.mark.parametrize(
    ("change", "bits", "elements", "overlay_at"),
    [
        (lambda values: values << 4, 12, LEFT_ALIGNED, 0),
        (lambda values: values, 12, LEFT_ALIGNED, 0),
        (lambda values: values, 10, {}, 0),
        (lambda values: values * 16, 12, {}, 0),
        (lambda values: values | 0x1000, 12, {}, 12),
        (lambda values: (values - 2048) & 0xFFF, 12, {"PixelRepresentation": 1}, 0),
        (lambda values: values * 8 - 16384, 12, {}, 0),
    ],
    ids=["left", "not left", "12 in 10", "16 in 12", "overlay", "sign in 12 bits", "signed 15 in 12"],
)
def test_bits_beyond_those_stored(tmp_path, grey, change, bits, elements, overlay_at):
    values = change(np.rint(grey / 255 * 4095).astype(int))
    write_dicom(tmp_path / "a.dcm", values, bits, "MONOCHROME2", **elements)
    if overlay_at:
        dataset = dcmread(tmp_path / "a.dcm")
        dataset.add_new(0x60000102, "US", overlay_at)
        dataset.save_as(tmp_path / "a.dcm")
    require_near(tmp_path / "a.dcm", grey, 1.5)
    wrong = not (elements or overlay_at)
    assert read(tmp_path / "a.dcm").note == (f"values beyond the {bits} bits that its header says" if wrong else "")


@pytest.mark.parametrize("name", ["PixelRepresentation", "BitsStored", "SamplesPerPixel", "PhotometricInterpretation"])
def test_what_a_header_lacks_of_its_pixels_is_assumed(tmp_path, grey, name):
    write_dicom(tmp_path / "a.dcm", grey.astype(int), 8, "MONOCHROME2")
    dataset = dcmread(tmp_path / "a.dcm")
    del dataset[name]
    dataset.save_as(tmp_path / "a.dcm")
    require_near(tmp_path / "a.dcm", grey, 0)
    assert f"its header lacks or contradicts, and is read as, {name} " in read(tmp_path / "a.dcm").note


@pytest.mark.parametrize("kind", ["YBR_FULL", "RGB", "monochrome2"])
def test_colours_of_one_sample_are_grey(tmp_path, grey, kind):
    write_dicom(tmp_path / "a.dcm", grey.astype(int), 8, kind)
    require_near(tmp_path / "a.dcm", grey, 0)
    assert read(tmp_path / "a.dcm").note.endswith("PhotometricInterpretation MONOCHROME2")


def test_a_lookup_table_shorter_than_it_says_is_rejected():
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 16], list(range(5))
    with rejection("a DICOM lookup table of 5 entries that says it has 256"):
        dicom_values.apply_table(np.zeros((2, 2), np.uint16), item)
