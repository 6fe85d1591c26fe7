"""Low values are bright where the header says so; where it contradicts itself, the presentation LUT shape counts."""

from __future__ import annotations

import numpy as np
import pytest
from image_helpers import write_dicom

from detector.images import phantom
from detector.images.read import read

GREY = phantom.draw(True, 0)
DEEP = np.rint(GREY * (4095 / 255)).astype(np.uint16)


@pytest.mark.parametrize(
    ("kind", "shape", "inverted", "noted"),
    [
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME2", "", False, False),
        ("MONOCHROME2", "inverse ", True, True),
        ("MONOCHROME1", "IDENTITY", False, True),
        ("MONOCHROME1", "LIN OD", True, False),
    ],
)
@pytest.mark.parametrize("window", [False, True])
def test_the_shape_counts_where_the_header_contradicts_itself(tmp_path, kind, shape, inverted, noted, window):
    elements = {} if shape is None else {"PresentationLUTShape": shape}
    elements |= {"WindowCenter": 2048, "WindowWidth": 4096} if window else {}
    write_dicom(tmp_path / "a.dcm", 4095 - DEEP if inverted else DEEP, 12, kind, **elements)
    found = read(tmp_path / "a.dcm", GREY.shape[0])
    assert np.abs(found.pixels[..., 0].astype(int) - GREY).max() <= 1
    said = f"its header says both {kind} and PresentationLUTShape {str(shape).strip().upper()}; the shape is followed"
    assert found.note == (said if noted else "")
