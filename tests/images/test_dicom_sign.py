"""Values whose sign the header gets wrong are read with the right one; all others stay as they are."""

import numpy as np
import pytest
from image_helpers import write_dicom

from detector.images import phantom
from detector.images.dicom_sign import with_sign
from detector.images.read import read

GREY = phantom.draw(True, 0)
DEEP, DEEPER = (np.rint(GREY * (white / 255)).astype(np.uint16) for white in (4095, 65535))
SIGNED = (DEEP.astype(np.int32) - 2048).astype(np.int16)


def with_border(values: np.ndarray, value: int) -> np.ndarray:
    found = values.copy()
    found[:, :60] = value
    return found


@pytest.mark.parametrize(
    ("values", "bits", "photometric", "sign"),
    [
        (DEEP, 12, "MONOCHROME2", 1),
        (4095 - DEEP, 12, "MONOCHROME1", 1),
        (DEEPER, 16, "MONOCHROME2", 1),
        (GREY, 8, "MONOCHROME2", 1),
        (SIGNED, 16, "MONOCHROME2", 0),
        (SIGNED, 12, "MONOCHROME2", 0),
    ],
    ids=["12 bits", "inverted", "16 bits", "8 bits", "signed", "signed in 12 bits"],
)
def test_a_wrong_sign_is_named_and_corrected(tmp_path, values, bits, photometric, sign):
    write_dicom(tmp_path / "a.dcm", values, bits, photometric, PixelRepresentation=sign)
    found = read(tmp_path / "a.dcm", GREY.shape[0])
    assert np.abs(found.pixels[..., 0].astype(int) - GREY).max() <= 1
    assert f"read as {'unsigned' if sign else 'signed'}, though its header says the other" in found.note


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        (SIGNED, 12),
        (DEEP, 12),
        (DEEPER, 16),
        (with_border(DEEP, 65535), 16),
        (with_border(DEEPER, 65535), 16),
        (with_border(SIGNED, -3000), 16),
        (GREY, 8),
        (DEEP * 0, 12),
    ],
)
def test_a_right_sign_stays(values, bits):
    found, note = with_sign(values, bits)
    assert found is values and note == ""
