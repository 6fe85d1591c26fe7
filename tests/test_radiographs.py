"""Reading image files: every format that is promised, and everything that is refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED, needs, picture, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector import InputError
from detector.images import pixel_store
from detector.images.dicom_values import NO_WINDOW
from detector.images.inspection import named_notes
from detector.images.listing import list_images
from detector.images.pixel_store import PixelStore
from detector.images.radiographs import decode, read


@pytest.fixture
def grey() -> np.ndarray:
    generator = np.random.default_rng(1)
    small = Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8))
    return np.asarray(small.resize((320, 280), Image.Resampling.BICUBIC))


def close(path: Path, expected: np.ndarray, tolerance: float) -> None:
    pixels = decode(path.read_bytes(), path).pixels
    if pixels.ndim == 3:
        pixels = pixels.mean(axis=2)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(float) - expected).max() <= tolerance


def test_shape_type_and_properties(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.png")
    radiograph = read(tmp_path / "a.png")
    assert radiograph.pixels.shape == (224, 224, 3)
    assert radiograph.pixels.dtype == np.uint8
    assert (radiograph.width, radiograph.height, radiograph.format, radiograph.colour) == (320, 280, "PNG", False)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_formats(tmp_path, grey, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(grey).save(path, **({"lossless": True} if suffix == "webp" else {}))
    close(path, grey, 6 if suffix == "jpg" else 0)


def test_16_bit_png_is_scaled_by_its_full_range(tmp_path, grey):
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    close(tmp_path / "a.png", grey, 0)


def test_12_bits_in_a_16_bit_png_are_not_black(tmp_path, grey):
    stored = np.rint(grey / 255 * 4095).astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    close(tmp_path / "a.png", grey, 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
def test_alpha_and_palettes(tmp_path, grey, mode):
    image = Image.fromarray(grey)
    if mode == "1":
        grey = np.where(grey > 127, 255, 0).astype(np.uint8)
        image = Image.fromarray(grey).convert("1", dither=Image.Dither.NONE)
    elif mode == "P":
        image = image.convert("RGB").quantize(256)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    close(tmp_path / "a.png", grey, 4 if mode == "P" else 0)


def test_cmyk_jpeg(tmp_path, grey):
    Image.fromarray(grey).convert("RGB").convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    close(tmp_path / "a.jpg", grey, 8)


def test_exif_rotation_is_undone(tmp_path, grey):
    lying = Image.fromarray(grey).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    close(tmp_path / "a.jpg", grey, 6)


def dicom(path: Path, values: np.ndarray, bits: int, photometric: str, **elements: object) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(values.min() < 0)
    for name, value in elements.items():
        setattr(dataset, name, value)
    signed = "i" if values.min() < 0 else "u"
    dataset.PixelData = values.astype(f"<{signed}{dataset.BitsAllocated // 8}").tobytes()
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom(tmp_path, grey, bits, photometric):
    shown = 255 - grey if photometric == "MONOCHROME1" else grey
    dicom(tmp_path / "IM0001", np.rint(shown / 255 * (2**bits - 1)).astype(int), bits, photometric)
    close(tmp_path / "IM0001", grey, 1)
    assert read(tmp_path / "IM0001").format == "DICOM"


def test_dicom_window_rescale_and_sign(tmp_path, grey):
    dicom(tmp_path / "w.dcm", grey.astype(int) + 1000, 12, "MONOCHROME2", WindowCenter=1128, WindowWidth=256)
    close(tmp_path / "w.dcm", grey, 1.5)
    dicom(tmp_path / "s.dcm", grey.astype(int) * 16 - 2048, 12, "MONOCHROME2", RescaleSlope=2, RescaleIntercept=-5)
    close(tmp_path / "s.dcm", grey, 1.5)


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
def test_a_dicom_whose_window_is_unusable_is_shown_at_its_full_range(tmp_path, grey, window, capfd):
    dicom(tmp_path / "w.dcm", grey.astype(int) * 16, 12, "MONOCHROME2", **window)
    dicom(tmp_path / "plain.dcm", grey.astype(int) * 16, 12, "MONOCHROME2")
    shown, plain = read(tmp_path / "w.dcm"), read(tmp_path / "plain.dcm")
    assert np.array_equal(shown.pixels, plain.pixels)
    assert (shown.note, plain.note) == (NO_WINDOW, "")
    assert capfd.readouterr().err == ""


def test_what_a_user_should_know_of_images_is_said_once_for_all():
    notes = [(f"{i}.dcm", "odd" if i % 2 else "") for i in range(10)] + [("x.dcm", "other")]
    assert named_notes(notes) == ["1.dcm, 3.dcm, 5.dcm and 2 more: odd", "x.dcm: other"]


@pytest.mark.parametrize("elements", [{"RescaleSlope": "1e308"}, {"RescaleSlope": 0}, {"RescaleIntercept": "-1e200"}])
def test_a_dicom_whose_values_cannot_be_shown_is_a_sentence_and_no_warning(tmp_path, grey, elements, capfd):
    dicom(tmp_path / "w.dcm", grey.astype(int) * 16, 12, "MONOCHROME2", **elements)
    with refusal("a DICOM rescale slope of"):
        read(tmp_path / "w.dcm")
    assert capfd.readouterr().err == ""


def test_dicom_without_an_image_or_too_large(tmp_path, grey):
    dicom(tmp_path / "a.dcm", grey.astype(int), 8, "MONOCHROME2", Rows=60000, Columns=60000)
    with refusal("60000 x 60000"):
        read(tmp_path / "a.dcm")
    path = tmp_path / "b.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 20)
    with refusal(r"b\.dcm"):
        read(path)


def bomb(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header claims a huge picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bad_files(folder: Path) -> dict[str, str]:
    """Write one file of every bad kind; return name → a word of what is said of it."""
    whole = io.BytesIO()
    generator = np.random.default_rng(3)
    Image.fromarray(generator.integers(0, 256, (300, 300), dtype=np.uint8)).save(whole, "JPEG")
    png = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (300, 300), dtype=np.uint8)).save(png, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truncated.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (folder / "truncated.png").write_bytes(png.getvalue()[: len(png.getvalue()) // 2])
    (folder / "text.png").write_text("not an image\n")
    (folder / "empty.jpeg").write_bytes(b"")
    (folder / "folder.jpg").mkdir()
    (folder / "bomb.png").write_bytes(bomb(60000, 60000))
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    return {
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "text.png": "not a readable image",
        "empty.jpeg": "empty",
        "folder.jpg": "folder",
        "bomb.png": "3600000000 pixels",
        "dangling.jpg": "No such file",
    }


def test_bad_files_are_refused_by_name(tmp_path):
    for name, word in bad_files(tmp_path).items():
        with refusal(f"(?s){name}.*{word}"):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_an_image_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with refusal("not a regular file"):
        read(tmp_path / "a.jpg")


def test_find_is_sorted_and_leaves_out_what_is_no_image(tmp_path, grey):
    for name in ("b.png", "a.JPG", "sub/c.webp", "._a.jpg", "__MACOSX/d.png", "notes.txt", "manifest.csv", "e"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    dicom(tmp_path / "IM7", grey.astype(int), 8, "MONOCHROME2")
    (tmp_path / "f.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path).images]
    assert found == ["IM7", "a.JPG", "b.png", "f.png", "sub/c.webp"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_images_are_read_or_refused(data):
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


def test_scratch_returns_what_it_was_given(tmp_path):
    store = PixelStore()
    radiographs = []
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
        radiographs.append(read(tmp_path / f"{i}.png"))
        store.put(radiographs[-1])
    for i in (2, 0, 1):
        assert np.array_equal(store.pixels(tmp_path / f"{i}.png", radiographs[i].digest), radiographs[i].pixels)


def test_scratch_notices_a_file_that_changed(tmp_path):
    picture(tmp_path / "a.png", 1)
    with refusal("changed"):
        PixelStore().pixels(tmp_path / "a.png", "0" * 64)


def test_pixels_that_have_no_room_are_decoded_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_store, "MOST_BYTES", 2 * 224 * 224 * 3)
    store, films = PixelStore(), []
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
        films.append(read(tmp_path / f"{seed}.png"))
        store.put(films[-1])
    assert len(store._offsets) == 2
    for seed, film in enumerate(films):
        assert np.array_equal(store.pixels(tmp_path / f"{seed}.png", film.digest), film.pixels)


@needs(SHARED)
def test_every_real_image_is_read():
    folders = SHARED / "seed-dataset", SHARED / "covid-chestxray-dataset" / "images"
    images = [path for folder in folders for path in list_images(folder).images]
    assert len(images) == 50 + 124
    for path in images[::6]:
        assert read(path).pixels.std() > 10
