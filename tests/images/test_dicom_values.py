"""Grey values of DICOM: windows, rescaling, sign."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import refusal
from image_helpers import require_near, write_dicom

from detector.images import dicom_values
from detector.images.dicom_values import NO_WINDOW
from detector.images.radiographs import read


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
def test_rescaling_that_cannot_be_shown_is_rejected_without_a_warning(tmp_path, grey, elements, capfd):
    write_dicom(tmp_path / "w.dcm", grey.astype(int) * 16, 12, "MONOCHROME2", **elements)
    with refusal("a DICOM rescale slope of"):
        read(tmp_path / "w.dcm")
    assert capfd.readouterr().err == ""


def test_a_lookup_table_shorter_than_it_says_is_rejected():
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 16], list(range(5))
    with refusal("a DICOM lookup table of 5 entries that says it has 256"):
        dicom_values.apply_table(np.zeros((2, 2), np.uint16), item)
