"""16-bit colours, and TIFF of types that Pillow does not read, or takes for others: shown as their 8-bit original."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from conftest import rejection
from image_helpers import require_near, tiff
from PIL import Image

from detector.images.deep_values import upright
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


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("stored", [{}, {"compression": 8}, {"photometric": 0}])
def test_a_tiff_of_any_type_is_shown_as_its_8_bit_original(tmp_path, grey, order, kind, stored):
    values = DEEP[kind](grey)
    if stored.get("photometric") == 0:
        values = values.max() - values if values.dtype.kind in "uf" else ~values
    (tmp_path / "a.tif").write_bytes(tiff(values, order, **stored))
    require_near(tmp_path / "a.tif", grey, 1.1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stored", [{}, {"compression": 8}, {"planes": 2}, {"planes": 2, "compression": 8}])
@pytest.mark.parametrize("kind", ["12 in 16", "float 32"])
def test_colours_of_any_depth_keep_all_their_bits(tmp_path, grey, order, stored, kind):
    """Three equal channels are a grey image, others a colour image; alpha is left out."""
    values = DEEP[kind](grey)
    (tmp_path / "a.tif").write_bytes(tiff(np.dstack([values] * 3), order, photometric=2, **stored))
    require_near(tmp_path / "a.tif", grey, 1.1)
    assert not read(tmp_path / "a.tif").colour
    other = np.dstack([values, values, values[::-1]])
    found = from_bytes(tiff(other, order, photometric=2, **stored), "a.tif")
    assert found.colour and len(np.unique(found.pixels[..., 2])) > 100


def deep_png(values: np.ndarray, orientation: int = 1) -> bytes:
    """Return a PNG of two to four 16-bit channels with an orientation."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0),
        b"eXIf": exif.tobytes().removeprefix(b"Exif\0\0"),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_of_deep_channels(tmp_path, grey, channels):
    values = DEEP["12 in 16"](grey)
    stored = {2: [values, values * 0 + 65535], 3: [values] * 3, 4: [values] * 3 + [values * 0 + 65535]}[channels]
    (tmp_path / "a.png").write_bytes(deep_png(np.dstack(stored)))
    require_near(tmp_path / "a.png", grey, 1)
    if channels != 3:
        only = np.dstack([values * 0] * (channels - 1) + [65535 - DEEP["unsigned 16"](grey)])
        (tmp_path / "a.png").write_bytes(deep_png(only))
        require_near(tmp_path / "a.png", grey, 1)
        assert read(tmp_path / "a.png").note == "the image is in the alpha channel only"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_set_upright_in_every_way_of_reading(tmp_path, grey, orientation):
    grey = grey[:-20]  # not square
    # Each is its own inverse but the two that turn by 90 degrees, which are each other's.
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    turned = np.ascontiguousarray(upright(grey[..., None], inverse)[..., 0])
    files = {
        "8.tif": tiff(turned, "<", orientation=orientation),
        "16.tif": tiff(DEEP["unsigned 16"](turned), "<", orientation=orientation),
        "rgb.tif": tiff(np.dstack([DEEP["unsigned 16"](turned)] * 3), "<", photometric=2, orientation=orientation),
        "f64.tif": tiff(turned / 255, "<", orientation=orientation),
        "rgb.png": deep_png(np.dstack([DEEP["unsigned 16"](turned)] * 3), orientation),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        require_near(tmp_path / name, grey, 1.1)


def test_pages_of_any_type_are_looked_at(tmp_path, grey):
    """The second page of colours, not the first."""
    first, second = (Image.fromarray(DEEP["unsigned 16"](values)) for values in (grey * 0, grey))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    assert read(tmp_path / "a.tif").note == "2 pages, of which page 2 is used"
    require_near(tmp_path / "a.tif", grey, 1)


def test_what_cannot_be_read_is_rejected(capfd):
    whole = np.random.default_rng(0).integers(0, 2**16, (64, 64, 3), dtype=np.uint16)
    with rejection("a.tif: 16-bit colours of a kind that is not read; store it as 16-bit grey or 8-bit colour"):
        from_bytes(tiff(np.dstack([whole, whole[..., :1]]), "<", photometric=5), "a.tif")
    half = tiff(whole[..., 0] / 2.0, "<")
    with rejection("a.tif: truncated: its pixels end before the image does"):
        from_bytes(tiff(whole[..., 0] / 2.0, "<", missing=100), "a.tif")
    with rejection("a.tif: a TIFF with pixels of a type that is not read"):
        from_bytes(half[:4] + bytes(4), "a.tif")
    for end in (20, 100, len(half) - 8):
        with rejection("a.tif: truncated: the description of its pixels is cut off"):
            from_bytes(half[:-end], "a.tif")
    with rejection("a.tif: 1073741824 pixels, more than 30000000"):
        from_bytes(tiff(whole[..., 0] / 2.0, "<", says=(32768, 32768)), "a.tif")
    with rejection("a.tif: 679 MiB of pixel values, more than 228 MiB"):
        from_bytes(tiff(whole / 2.0, "<", says=(5400, 5500)), "a.tif")
    assert capfd.readouterr().err == ""
