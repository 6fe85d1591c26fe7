"""Every depth and type of a radiograph is shown as its 8-bit original is."""

import cv2
import numpy as np
import pytest
from conftest import rejection
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import dicom as made
from image_helpers import stored, tiff
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from detector.images import grey_range, phantom
from detector.images.grey_range import to_8_bits
from detector.images.read import decode, from_bytes

GREY = phantom.draw(True, 0)
DEEP = np.rint(GREY * (4095 / 255)).astype(np.uint16)


def in_bits(bits: int) -> np.ndarray:
    return np.rint(GREY * ((2**bits - 1) / 255)).astype(np.uint16)


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def dicom(values: np.ndarray, bits: int = 12, photometric: str = "MONOCHROME2", **elements) -> bytes:
    return stored(made(values, bits, photometric, **elements))


def table(bits: int, entries: np.ndarray, first: int = 0) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.add_new(0x00283006, "US", [int(one) for one in entries])
    return Sequence([item])


def painted(rows: slice, columns: slice, value: object) -> np.ndarray:
    values = DEEP.astype(np.int32)
    values[rows, columns] = value
    return values


PADDED = slice(None), slice(60)


def apart(shown: np.ndarray, where: object = ...) -> int:
    """Return how far an image is from its 8-bit original at most."""
    grey = shown if shown.ndim == 2 else shown[..., 0]
    return np.abs(grey.astype(int) - GREY)[where].max()


SHOWN_THE_SAME = {
    **{f"{bits} bits in 16, PNG": png(in_bits(bits)) for bits in (8, 10, 12, 14, 16)},
    **{f"{bits} bits in 16, DICOM": dicom(in_bits(bits), 16) for bits in (8, 10, 12, 14, 16)},
    "10 bits in 12": dicom(in_bits(10), 12),
    "8 bits in 8": dicom(GREY, 8),
    "one pixel beyond": png(np.where(np.arange(DEEP.size).reshape(DEEP.shape) == 7, 4096, DEEP).astype(np.uint16)),
    "marker": png(painted(slice(5, 15), slice(5, 40), 65535).astype(np.uint16)),
    "colours of 16 bits": png(np.repeat(DEEP[..., None], 3, axis=2)),
    "colours and alpha of 16 bits": png(np.dstack([DEEP, DEEP, DEEP, np.full_like(DEEP, 65535)])),
    "floats from 0 to 1": tiff((GREY / 255).astype(np.float32), "<"),
    "floats from 0 to 255": tiff(GREY.astype(np.float32), "<"),
    "floats from -1 to 1": tiff((GREY / 127.5 - 1).astype(np.float32), "<"),
    "32-bit integers": tiff(DEEP.astype(np.int32), "<"),
    "inverted, 8 bits": tiff(255 - GREY, "<", photometric=0),
    "inverted, 16 bits": tiff(65535 - in_bits(16), "<", photometric=0),
    "inverted, 12 in 16 bits": tiff(4095 - DEEP, "<", photometric=0),
    "inverted floats": tiff((1 - GREY / 255).astype(np.float32), "<", photometric=0),
    "signed": dicom((DEEP.astype(np.int32) - 2048).astype(np.int16), 12),
    "signed in 16": dicom((DEEP.astype(np.int32) - 2048).astype(np.int16), 16),
    "MONOCHROME1": dicom(4095 - DEEP, 12, "MONOCHROME1"),
    "MONOCHROME1 in 16": dicom(4095 - DEEP, 16, "MONOCHROME1"),
    "MONOCHROME1 of 8 bits": dicom(255 - GREY, 8, "MONOCHROME1"),
    "rescaled": dicom(DEEP, 12, RescaleSlope="2", RescaleIntercept="-1000"),
    "rescaled in 16": dicom(DEEP, 16, RescaleSlope="0.25", RescaleIntercept="7"),
    "modality table of 12 bits": dicom(DEEP, 12, ModalityLUTSequence=table(12, np.arange(4096))),
    "table that says 16 bits": dicom(DEEP, 12, VOILUTSequence=table(16, np.arange(4096))),
    "table of 10 bits": dicom(in_bits(10), 16, VOILUTSequence=table(10, np.arange(1024))),
    "table from 100 on": dicom(DEEP + 100, 16, VOILUTSequence=table(12, np.arange(4096), 100)),
    "empty table": dicom(DEEP, 12, VOILUTSequence=Sequence([Dataset()])),
    "window": dicom(DEEP, 12, WindowCenter="2048", WindowWidth="4096"),
    "window beside the values": dicom(DEEP, 12, WindowCenter="20000", WindowWidth="100"),
    "window of all 12 bits, 10 used": dicom(in_bits(10), 12, WindowCenter="2048", WindowWidth="4096"),
    "window of all 16 bits, 14 used": dicom(in_bits(14), 16, WindowCenter="32768", WindowWidth="65536"),
    "inverted window, 10 of 12 bits used": dicom(
        1023 - in_bits(10), 12, "MONOCHROME1", WindowCenter="2048", WindowWidth="4096"
    ),
    "sigmoid of all 12 bits, 10 used": dicom(
        in_bits(10), 12, WindowCenter="2048", WindowWidth="4096", VOILUTFunction="SIGMOID"
    ),
    "window of width 0": dicom(DEEP, 12, WindowCenter="2048", WindowWidth="0"),
    "window of width 1": dicom(DEEP, 12, WindowCenter="2048", WindowWidth="1"),
    "window that is no number": dicom(DEEP, 12, WindowCenter="2048", WindowWidth=""),
    "first frame black": dicom(np.stack([DEEP * 0, DEEP]), 12),
}


@pytest.mark.parametrize("data", SHOWN_THE_SAME.values(), ids=SHOWN_THE_SAME)
def test_it_is_shown_as_its_8_bit_original(data):
    unmarked = np.ones(GREY.shape, bool)
    unmarked[:16, :41] = False
    assert apart(decode(data, "image").pixels, unmarked) <= 1


@pytest.mark.parametrize("value", [0, 65535, 40000])
def test_padding_does_not_darken(value):
    padded = painted(*PADDED, value).astype(np.uint16)
    shown = decode(dicom(padded, 16, PixelPaddingValue=value), "image").pixels
    for pixels in (shown, decode(png(padded), "image").pixels):
        assert apart(pixels, (slice(None), slice(60, None))) <= 1
    assert not shown[PADDED].any()


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_the_blurred_edge_of_a_marker_does_not_darken(bits, scale):
    letter = cv2.putText(np.zeros(GREY.shape, np.float32), "R", (20, 130), 0, scale, 1.0, int(2 * scale), cv2.LINE_AA)
    letter = cv2.GaussianBlur(letter, (0, 0), 1.0)
    marked = np.maximum(in_bits(bits), np.rint(letter * 65535)).astype(np.uint16)
    assert apart(decode(png(marked), "image").pixels, letter == 0) <= 1


@pytest.mark.parametrize(
    ("stored_as", "kind", "value", "limit"),
    [("<u2", "US", 5000, 5059), ("<i2", "US", 62536, None), ("<u2", "SS", -1, None)],
    ids=["range", "unsigned for signed", "signed for unsigned"],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_padding_range_and_values_of_the_other_sign(stored_as, kind, value, limit, photometric):
    values = (DEEP if photometric == "MONOCHROME2" else 4095 - DEEP).astype(np.int32) - 2048 * (stored_as == "<i2")
    values[PADDED] = np.arange(60) + value if limit else value
    dataset = made(values.astype(stored_as), 16, photometric, **({"PixelPaddingRangeLimit": limit} if limit else {}))
    dataset.add_new("PixelPaddingValue", kind, value)
    shown = decode(stored(dataset), "image").pixels
    assert not shown[PADDED].any() and apart(shown, (slice(None), slice(60, None))) <= 1


def test_values_that_fill_no_common_range_are_stretched():
    shown = decode(png((DEEP // 8 + 3000).astype(np.uint16)), "image").pixels
    assert shown.min() == 0 and shown.max() == 255
    assert np.corrcoef(shown.ravel(), GREY.ravel())[0, 1] > 0.999


def test_an_8_bit_image_stays_as_it_is_unless_it_shows_nothing():
    for pixels in (GREY, GREY // 4 + 90, GREY * 0 + 7):
        assert np.array_equal(decode(png(pixels), "image").pixels, pixels)
    dark = decode(png(GREY // 16), "image")
    assert dark.pixels.max() == 255 and "contrast was stretched" in dark.note
    for dark in (GREY // 8, GREY // 4):  # the high byte of 13 and of 14 bits in 16
        marked = dark.copy()
        marked[3:9, :60] = 255
        for data in (png(dark), png(marked), png(np.dstack([dark] * 3)), dicom(dark, 8)):
            shown = decode(data, "image")
            grey = shown.pixels if shown.pixels.ndim == 2 else shown.pixels[..., 0]
            assert np.abs(grey[10:].astype(int) - GREY[10:]).mean() <= 10 and "contrast was stretched" in shown.note
    mask = np.zeros((100, 100), np.uint8)
    mask[3, :40] = 255
    assert np.array_equal(decode(png(mask), "mask").pixels, mask)


@pytest.mark.parametrize("values", [GREY * 0, GREY * 0 + 255, DEEP * 0 + 3000])
def test_values_that_show_nothing_are_rejected(values):
    with rejection("black.png: shows nothing: its grey values lie between .* of 255"):
        from_bytes(png(values), "black.png")


@given(st.integers(-20000, 20000), st.floats(0.05, 40.0), st.lists(st.integers(0, 1000), min_size=200, max_size=400))
def test_neither_offset_nor_slope_matters_where_no_common_range_fits(offset, slope, values):
    grey = np.array(values, float)
    if np.ptp(grey) < 10:
        return
    low, high = grey_range.choose_range(grey, common=())
    moved = grey_range.choose_range(grey * slope + offset, common=())
    assert moved == pytest.approx((low * slope + offset, high * slope + offset), rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "pixel values that are not finite"),
        (np.inf, "pixel values that are not finite"),
        (1e30, "pixel values from .*, which no radiograph has"),
    ],
)
def test_pixel_values_that_no_radiograph_has_are_rejected(value, said):
    values = np.linspace(0, 1, 81, dtype=np.float32).reshape(9, 9)
    values[2:] *= value
    with rejection(said):
        from_bytes(tiff(values, "<"), "a.tif")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_nan_is_padding(kind, white_is_zero):
    """Left out of the choice of the range, and shown black."""
    values = GREY.astype(kind) * 100
    padding = np.zeros(GREY.shape, bool)
    padding[:, : GREY.shape[1] // 3] = padding[:, -5:] = True
    whole = to_8_bits(values[~padding][None])[0][0]
    values[padding] = np.nan
    found = decode(tiff(values, "<", photometric=int(not white_is_zero)), "a.tif").pixels
    assert (found[padding] == 0).all()
    assert np.abs(found[~padding].astype(int) - (255 - whole.astype(int) if white_is_zero else whole)).max() <= 1
