"""Image files: every format that is supported is read, every other is rejected by name."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, SHARED, needs, picture, rejection
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import bad_files, bomb, require_near, tiff
from PIL import Image

from detector import InputError
from detector.images import read as radiographs
from detector.images.listing import list_images
from detector.images.read import MAX_PIXELS, decode, from_bytes, read


def test_pixels_have_the_networks_shape_and_properties_are_those_of_the_file(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.png")
    radiograph = read(tmp_path / "a.png")
    assert radiograph.pixels.shape == (224, 224, 3)
    assert radiograph.pixels.dtype == np.uint8
    assert (radiograph.width, radiograph.height, radiograph.format, radiograph.colour) == (320, 280, "PNG", False)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_every_format_is_read(tmp_path, grey, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(grey).save(path, **({"lossless": True} if suffix == "webp" else {}))
    require_near(path, grey, 6 if suffix == "jpg" else 0)


def test_16_bit_png_is_scaled_by_its_full_range(tmp_path, grey):
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    require_near(tmp_path / "a.png", grey, 0)


def test_12_bits_in_a_16_bit_png_are_not_black(tmp_path, grey):
    stored = np.rint(grey / 255 * 4095).astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    require_near(tmp_path / "a.png", grey, 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
def test_alpha_palettes_and_bits_are_read(tmp_path, grey, mode):
    image = Image.fromarray(grey)
    if mode == "1":
        grey = np.where(grey > 127, 255, 0).astype(np.uint8)
        image = Image.fromarray(grey).convert("1", dither=Image.Dither.NONE)
    elif mode == "P":
        image = image.convert("RGB").quantize(256)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    require_near(tmp_path / "a.png", grey, 4 if mode == "P" else 0)


def test_a_bitmap_of_16_bits_a_pixel_is_read(tmp_path, grey):
    height, width = grey.shape
    deep = grey.astype("<u2")
    data = ((deep >> 3) << 11 | (deep >> 2) << 5 | deep >> 3)[::-1].tobytes()
    masks = struct.pack("<3I", 0xF800, 0x7E0, 0x1F)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, len(data), 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(struct.pack("<2sIHHI", b"BM", 66 + len(data), 0, 0, 66) + header + masks + data)
    require_near(tmp_path / "a.bmp", grey, 6)


def test_a_cmyk_jpeg_is_read(tmp_path, grey):
    Image.fromarray(grey).convert("RGB").convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    require_near(tmp_path / "a.jpg", grey, 8)


@pytest.mark.parametrize(
    ("width", "height", "note"),
    [
        (300, 260, ""),
        (64, 256, ""),
        (63, 200, "only 63 x 200 pixels"),
        (200, 20, "only 200 x 20 pixels"),
        (300, 74, "300 x 74 pixels, an unusual shape"),
    ],
)
def test_an_unusual_size_is_noted(tmp_path, width, height, note):
    picture(tmp_path / "a.png", 1, (width, height))
    assert read(tmp_path / "a.png").note == note


def test_formats_that_are_not_read_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"GIF89a" + bytes(60))
    with rejection("a.png: GIF, which is not read .supported: DICOM, PNG"):
        read(tmp_path / "a.png")
    for name, data in (("NRRD", b"NRRD0004\n"), ("NIfTI", bytes(344) + b"n+1\0" + bytes(99)), ("NumPy", b"\x93NUMPY")):
        (tmp_path / "a.dcm").write_bytes(data)
        with rejection(f"a.dcm: {name}, which is not read"):
            read(tmp_path / "a.dcm")
    ordinary = io.BytesIO()
    picture(tmp_path / "b.png", 1, (80, 80))
    Image.open(tmp_path / "b.png").convert("L").save(ordinary, "JPEG")
    jpeg = ordinary.getvalue()
    at = jpeg.index(b"\xff\xc0")
    for kind, bits, name in ((0xC1, 12, "JPEG of 12 bits"), (0xC3, 16, "lossless JPEG"), (0xF7, 12, "JPEG-LS")):
        frame = bytes([0xFF, kind]) + jpeg[at + 2 : at + 4] + bytes([bits])
        (tmp_path / "a.jpg").write_bytes(jpeg[:at] + frame + jpeg[at + 5 :])
        with rejection(f"a.jpg: {name}, which is not read"):
            read(tmp_path / "a.jpg")
    (tmp_path / "float64.tif").write_bytes(tiff(np.random.default_rng(0).random((80, 80)), "<", compression=5))
    with rejection("float64.tif: a TIFF with pixels of a type that is not read; store it as 16-bit grey"):
        read(tmp_path / "float64.tif")


def test_exif_rotation_is_undone(tmp_path, grey):
    lying = Image.fromarray(grey).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    require_near(tmp_path / "a.jpg", grey, 6)


def test_bad_files_are_rejected_by_name(tmp_path):
    for name, word in bad_files(tmp_path).items():
        with rejection(f"(?s){name}.*{word}"):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_an_image_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with rejection("not a regular file"):
        read(tmp_path / "a.jpg")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_images_are_read_or_rejected(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "BMP"]))
    whole = io.BytesIO()
    Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64).astype(np.uint8)).save(whole, kind)
    mutated = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    mutated = bytes(mutated[: data.draw(st.integers(0, len(mutated)))])
    try:
        pixels = decode(mutated, "mutated").pixels
    except InputError as error:
        assert str(error).startswith("mutated")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.size


@needs(SHARED)
def test_every_real_image_is_read():
    folders = SHARED / "seed-dataset", SHARED / "covid-chestxray-dataset" / "images"
    images = [path for folder in folders for path in list_images(folder).images]
    assert len(images) == 50 + 124
    for path in images[::6]:
        assert read(path).pixels.std() > 10


def test_an_image_without_permission_is_named(tmp_path, unreadable):
    (tmp_path / "a.png").write_text("x")
    with rejection("(?i)a.png.*permission denied"):
        radiographs.read(tmp_path / "a.png")


def test_an_image_file_that_is_too_large_is_rejected(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x" * 100)
    monkeypatch.setattr(radiographs, "MAX_BYTES", 10)
    with rejection("MiB, more than"):
        radiographs.read(tmp_path / "a")


def test_a_png_of_60000_by_60000_in_100_kb_is_rejected(tmp_path):
    data = bomb(60000, 60000)
    (tmp_path / "a.png").write_bytes(data + bytes(100_000 - len(data)))
    with rejection("a.png: 3600000000 pixels, more than 30000000"):
        read(tmp_path / "a.png")


def test_a_jpeg_of_a_thousand_scans_is_rejected():
    data = io.BytesIO()
    Image.linear_gradient("L").resize((5000, 5000)).save(data, "JPEG", progressive=True)
    whole = data.getvalue()
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    assert from_bytes(whole, "a.jpg").width == 5000
    with rejection("scans of 5000 x 5000"):
        from_bytes(whole[:-2] + 1000 * scan + whole[-2:], "a.jpg")


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "F", "I;16"])
def test_the_largest_image_that_is_read_stays_below_a_gigabyte(tmp_path, mode):
    side = int(MAX_PIXELS**0.5)
    path = tmp_path / {"RGBA": "a.png", "CMYK": "a.jpg", "F": "a.tif", "I;16": "b.png"}[mode]
    grey = Image.linear_gradient("L").resize((side, side))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(path, **({"compression": "tiff_adobe_deflate"} if mode == "F" else {}))
    # Not ru_maxrss where there is another way: a child begins with its parent's.
    code = (
        "import resource, sys; from pathlib import Path; from detector.images.read import read;"
        "read(Path(sys.argv[1])); status = Path('/proc/self/status');"
        "lines = status.read_text().splitlines() if status.exists() else [];"
        "peaks = [int(line.split()[1]) >> 10 for line in lines if line.startswith('VmHWM')];"
        "unit = 2**20 if sys.platform == 'darwin' else 2**10;"
        "peaks += [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit];"
        "print(peaks[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000


def test_an_image_that_shows_nothing_is_rejected():
    data = io.BytesIO()
    Image.new("L", (300, 300), 90).save(data, "PNG")
    with rejection("a.png: shows nothing: its grey values lie between 90 and 90 of 255"):
        from_bytes(data.getvalue(), "a.png")


@pytest.mark.parametrize(
    ("number", "lines", "last"), [(1, 1, "0.png: no"), (10, 10, "9.png: no"), (13, 11, "and 3 more")]
)
def test_the_first_ten_bad_files_are_named_one_a_line(number, lines, last):
    error = radiographs.name_all([InputError(f"{i}.png: no") for i in range(number)], 13)
    assert str(error) == f"{number} of 13 images cannot be read; fix or remove them:"
    assert len(error.details) == lines and error.details[-1] == last
