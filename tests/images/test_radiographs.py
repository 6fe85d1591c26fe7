"""Image files: every format that is supported is read, every other is rejected by name."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from conftest import SHARED, needs, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import bad_files, require_near
from PIL import Image

from detector import InputError
from detector.images.listing import list_images
from detector.images.radiographs import decode, read


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


def test_a_cmyk_jpeg_is_read(tmp_path, grey):
    Image.fromarray(grey).convert("RGB").convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    require_near(tmp_path / "a.jpg", grey, 8)


def test_exif_rotation_is_undone(tmp_path, grey):
    lying = Image.fromarray(grey).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    require_near(tmp_path / "a.jpg", grey, 6)


def test_bad_files_are_rejected_by_name(tmp_path):
    for name, word in bad_files(tmp_path).items():
        with refusal(f"(?s){name}.*{word}"):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_an_image_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with refusal("not a regular file"):
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
