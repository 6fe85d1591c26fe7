"""PNG, JPEG, BMP, TIFF and WebP of every depth are shown as their 8-bit original, or rejected in one line."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from conftest import rejection
from image_helpers import png, require_near, tiff
from PIL import Image

from detector.images import raster
from detector.images.raster import Decoded
from detector.images.read import from_bytes, read

DEEP = {
    "unsigned 16": lambda grey: grey.astype(np.uint16) * 257,
    "12 in 16": lambda grey: np.rint(grey / 255 * 4095).astype(np.uint16),
    "signed 8": lambda grey: (grey.astype(int) - 128).astype(np.int8),
    "signed 16": lambda grey: ((grey.astype(int) - 128) * 16).astype(np.int16),
    "unsigned 32": lambda grey: grey.astype(np.uint32) * 0x01010101,
    "signed 32": lambda grey: grey.astype(np.int32) * 16,
    "float 32": lambda grey: (grey / 255).astype(np.float32),
    "float 64": lambda grey: grey / 255,
}


@pytest.mark.parametrize(
    ("suffix", "mode", "tolerance", "options"),
    [
        *((suffix, "L", 0, {}) for suffix in ("png", "bmp", "tif")),
        ("webp", "L", 0, {"lossless": True}),
        ("jpg", "L", 6, {}),
        ("jpg", "CMYK", 8, {"quality": 95}),
    ],
)
def test_every_format_is_read(tmp_path, grey, suffix, mode, tolerance, options):
    Image.fromarray(grey).convert("RGB").convert(mode).save(tmp_path / f"a.{suffix}", **options)
    require_near(tmp_path / f"a.{suffix}", grey, tolerance)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "RGB"])
def test_alpha_palettes_and_bits_are_read(tmp_path, grey, mode, suffix):
    if mode == "1":
        grey = np.where(grey > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(grey)
    image = image.convert("RGB").quantize(256) if mode == "P" else image.convert(mode, dither=Image.Dither.NONE)
    image.save(tmp_path / f"a.{suffix}", **({"compression": "tiff_lzw"} if suffix == "tif" else {}))
    require_near(tmp_path / f"a.{suffix}", grey, 4 if mode == "P" else 0)
    assert read(tmp_path / f"a.{suffix}").colour == (mode in ("RGBA", "P", "RGB"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("tags", [{}, {"compression": 8}, {"photometric": 0}])
def test_a_tiff_of_any_type_is_shown_as_its_8_bit_original(tmp_path, grey, order, kind, tags):
    values = DEEP[kind](grey)
    if tags.get("photometric") == 0:
        values = values.max() - values if values.dtype.kind in "uf" else ~values
    (tmp_path / "a.tif").write_bytes(tiff(values, order, **tags))
    if (kind, tags) == ("unsigned 32", {"compression": 8}):
        with rejection("a.tif: a TIFF that is damaged, or of a type that is not read; store it as 16-bit grey"):
            read(tmp_path / "a.tif")
    else:
        require_near(tmp_path / "a.tif", grey, 2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["12 in 16", "float 32"])
def test_colours_of_any_depth_keep_all_their_bits(tmp_path, grey, order, kind):
    """Three equal channels are a grey image, others a colour image; alpha is left out."""
    values = DEEP[kind](grey)
    (tmp_path / "a.tif").write_bytes(tiff(np.dstack([values] * 3), order, photometric=2, compression=8))
    require_near(tmp_path / "a.tif", grey, 1.1)
    assert not read(tmp_path / "a.tif").colour
    found = from_bytes(tiff(np.dstack([values, values, values[::-1]]), order, photometric=2), "a.tif")
    assert found.colour and len(np.unique(found.pixels[..., 2])) > 100
    with rejection("a.tif: a TIFF of one colour behind the other; store it as 16-bit grey or 8-bit colour"):
        from_bytes(tiff(np.dstack([values] * 3), order, photometric=2, planes=2), "a.tif")


def deep_png(values: np.ndarray, orientation: int = 1) -> bytes:
    """Return a PNG of two to four 16-bit channels with an orientation."""
    height, width, channels = values.shape
    exif = Image.Exif()
    exif[0x0112] = orientation
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0),
        b"eXIf": exif.tobytes().removeprefix(b"Exif\0\0"),
        b"IDAT": zlib.compress(b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))),
        b"IEND": b"",
    }
    return png(parts)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_png_of_deep_channels(tmp_path, grey, channels):
    values = DEEP["12 in 16"](grey)
    alpha = [] if channels == 3 else [np.linspace(0, 65535, values.size).reshape(values.shape).astype(np.uint16)]
    (tmp_path / "a.png").write_bytes(deep_png(np.dstack([values] * (channels - len(alpha)) + alpha)))
    require_near(tmp_path / "a.png", grey, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_set_upright_in_every_way_of_reading(tmp_path, grey, orientation):
    grey = grey[:-20]  # not square
    turned = grey.T if orientation >= 5 else grey
    turned = turned[:, ::-1] if orientation in (2, 3, 7, 8) else turned
    turned = np.ascontiguousarray(turned[::-1] if orientation in (3, 4, 6, 7) else turned)
    deep, exif = DEEP["unsigned 16"](turned), Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "8.tif").write_bytes(tiff(turned, "<", orientation=orientation))
    (tmp_path / "16.tif").write_bytes(tiff(deep, "<", orientation=orientation))
    (tmp_path / "rgb.tif").write_bytes(tiff(np.dstack([deep] * 3), "<", photometric=2, orientation=orientation))
    (tmp_path / "f64.tif").write_bytes(tiff(turned / 255, "<", orientation=orientation))
    (tmp_path / "rgb.png").write_bytes(deep_png(np.dstack([deep] * 3), orientation))
    Image.fromarray(turned).save(tmp_path / "8.png", exif=exif)
    for path in tmp_path.iterdir():
        require_near(path, grey, 1.1)


def test_the_first_page_that_shows_something_is_used(tmp_path, grey):
    first, second = (Image.fromarray(DEEP["unsigned 16"](values)) for values in (grey * 0, grey))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    assert read(tmp_path / "a.tif").note == "2 pages, of which page 2 is used"
    require_near(tmp_path / "a.tif", grey, 1)


def test_the_first_frame_is_used_where_none_shows_something():
    flat, image = np.full((9, 9), 7, np.uint8), np.arange(81, dtype=np.uint8).reshape(9, 9) * 3
    for pixels, note in (
        ((flat, flat, image, image), "a; 4 frames, of which frame 3 is used"),
        ((image, flat), "a; 2 frames, of which frame 1 is used"),
        ((flat, flat), "a; 2 frames, of which frame 1 is used"),
        ((flat,), "a"),
    ):
        shown = [Decoded(one, False, "a") for one in pixels]
        assert raster.first_shown(len(pixels), shown.__getitem__, "frame").note == note


DEEP_VALUES = np.random.default_rng(0).integers(0, 2**16, (64, 64, 4), dtype=np.uint16)
GREY_16, HANDMADE = DEEP_VALUES[..., 0], tiff(DEEP_VALUES[..., 0] / 2.0, "<")
PNG_16 = cv2.imencode(".png", DEEP_VALUES[..., :3])[1].tobytes()
CUT_OFF = "(truncated: the description of its pixels is cut off|a TIFF that is damaged)"
UNREAD = "a TIFF that is damaged, or of a type that is not read; store it as 16-bit grey"


def pillows(compression: str | None) -> bytes:
    whole = io.BytesIO()
    Image.fromarray(GREY_16).save(whole, "TIFF", compression=compression)
    return whole.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        *((pillows(kind)[:-500], CUT_OFF) for kind in (None, "tiff_lzw", "tiff_adobe_deflate")),
        *((HANDMADE[:-end], CUT_OFF) for end in (20, 100, len(HANDMADE) - 8)),
        (tiff(DEEP_VALUES, "<", photometric=5), UNREAD),
        (tiff(GREY_16 / 2.0, "<", compression=5), UNREAD),
        (tiff(GREY_16.astype(np.uint32), "<", missing=100), "damaged or not supported .cannot reshape"),
        (tiff(GREY_16 / 2.0, "<", says=(32768, 32768)), "32768 x 32768 pixels, more than 30000000"),
        (PNG_16[: len(PNG_16) // 2], r"damaged or not supported \(image file is truncated"),
    ],
)
def test_what_cannot_be_read_is_rejected(data, said, capfd):
    with rejection(f"a: {said}"):
        from_bytes(data, "a")
    assert capfd.readouterr().err == ""
