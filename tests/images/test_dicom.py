"""DICOM: every depth, compressed files of pydicom, and errors where there is no image or no decoder."""

import io
import zlib
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from conftest import rejection
from dicom_helpers import dicom as made_dicom
from image_helpers import require_near, write_dicom
from PIL import Image
from pydicom.pixels import get_decoder

from detector.images import dicom
from detector.images.read import decode, file_bytes, from_bytes, read

FILES = Path(pydicom.data.__file__).parent / "test_files"
# The compressed file, and the same image uncompressed.
PAIRS = {
    "JPEG Lossless": ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_small_odd.dcm"),
    "JPEG-LS": ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
    "JPEG 2000": ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
}


def syntax(name: str) -> str:
    return str(pydicom.dcmread(FILES / name, stop_before_pixels=True).file_meta.TransferSyntaxUID)


@pytest.mark.parametrize("kind", ["JPEG-LS", "JPEG 2000"])
def test_a_compressed_image_is_what_it_was_before(kind):
    compressed, plain = PAIRS[kind]
    if not get_decoder(syntax(compressed)).is_available:
        pytest.skip("requirements/dicom.txt is not installed")
    pixels = [decode(file_bytes(FILES / name), name).pixels for name in (compressed, plain)]
    assert np.array_equal(*pixels)


def test_lossless_jpeg_of_colours():
    name = PAIRS["JPEG Lossless"][0]
    if not get_decoder(syntax(name)).is_available:
        pytest.skip("requirements/dicom.txt is not installed")
    found = decode(file_bytes(FILES / name), name)
    assert found.colour and found.pixels.shape == (100, 100, 3) and len(np.unique(found.pixels)) > 2


@pytest.mark.parametrize("name", [pair[0] for pair in PAIRS.values()])
def test_without_a_decoder_both_ways_out_are_named(name, monkeypatch):
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", property(lambda decoder: False))
    with rejection(r"compressed as JPEG.*requirements/dicom\.txt.*gdcmconv --raw"):
        dicom.require_decoder(syntax(name))


def test_reports_and_directories_are_no_images():
    for name in ("test-SR.dcm", "rtplan.dcm"):
        with rejection("a DICOM file without an image"):
            decode(file_bytes(FILES / name), name)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_depth_and_both_photometric_interpretations_are_read(tmp_path, grey, bits, photometric):
    shown = 255 - grey if photometric == "MONOCHROME1" else grey
    write_dicom(tmp_path / "IM0001", np.rint(shown / 255 * (2**bits - 1)).astype(int), bits, photometric)
    require_near(tmp_path / "IM0001", grey, 1)
    assert read(tmp_path / "IM0001").format == "DICOM"


def test_a_dicom_without_an_image_or_too_large_is_rejected(tmp_path, grey):
    write_dicom(tmp_path / "a.dcm", grey.astype(int), 8, "MONOCHROME2", Rows=60000, Columns=60000)
    with rejection("60000 x 60000"):
        read(tmp_path / "a.dcm")
    path = tmp_path / "b.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 20)
    with rejection(r"b\.dcm"):
        read(path)


def test_a_dicom_whose_image_is_larger_than_its_header_says_is_rejected():
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    inner = io.BytesIO()
    Image.new("L", (8, 8)).save(inner, "JPEG")
    data = bytearray(inner.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xea\x60\xea\x60"
    dataset = made_dicom(JPEGBaseline8Bit, 8, 8, bits=8)
    dataset.PixelData = encapsulate([bytes(data)])
    outer = io.BytesIO()
    dataset.save_as(outer, enforce_file_format=True)
    with rejection(r"a\.dcm: its compressed image has 60000 x 60000 pixels, its header says 8 x 8"):
        from_bytes(outer.getvalue(), "a.dcm")
    # The same, deflated a thousandfold.
    head = outer.getvalue()[:132] + b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    with rejection("deflated DICOM"):
        from_bytes(head + zlib.compress(bytes(10**6)), "b.dcm")


def stored(dataset) -> bytes:
    data = io.BytesIO()
    dataset.save_as(data, enforce_file_format=True)
    return data.getvalue()


def compressed(side: int, jpeg: bytes) -> bytes:
    """Return a DICOM file of a JPEG."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    dataset = made_dicom(JPEGBaseline8Bit, side, side, 8)
    dataset.PixelData = encapsulate([jpeg])
    return stored(dataset)


@pytest.mark.parametrize(
    ("photometric", "samples", "read_as"),
    [
        ("HSV", 1, "PhotometricInterpretation MONOCHROME2"),
        ("MONOCHROME2", 3, "PhotometricInterpretation RGB"),
    ],
)
def test_a_kind_that_contradicts_the_number_of_samples_is_named(photometric, samples, read_as):
    dataset = made_dicom("1.2.840.10008.1.2.1", 8, 8, 8)
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = photometric, samples, 0
    dataset.PixelData = bytes(value for value in range(0, 256, 4) for _ in range(samples))
    found = from_bytes(stored(dataset), "a.dcm")
    assert found.colour == (samples == 3) and found.pixels.std() > 50
    assert found.note.startswith(f"its header lacks or contradicts, and is read as, {read_as}")


def test_colours_that_cannot_be_shown_are_rejected():
    dataset = made_dicom("1.2.840.10008.1.2.1", 8, 8, 8)
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = "RGB", 3, 0
    dataset.PixelRepresentation, dataset.PixelData = 1, bytes(range(64)) * 3
    with rejection("a.dcm: DICOM colours of kind RGB"):
        from_bytes(stored(dataset), "a.dcm")


def test_a_jpeg_of_many_scans_inside_of_a_dicom_is_rejected():
    data = io.BytesIO()
    Image.linear_gradient("L").resize((5000, 5000)).save(data, "JPEG", progressive=True)
    whole = data.getvalue()
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    with rejection(r"a.dcm: a JPEG of [0-9]+ scans, a decompression bomb"):
        from_bytes(compressed(5000, whole[:-2] + 1000 * scan + whole[-2:]), "a.dcm")


def test_damaged_pixels_are_rejected_if_every_decoder_is_installed(monkeypatch):
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.missing_dependencies", property(lambda decoder: []))
    with rejection("a.dcm: its compressed pixels are damaged, or of a kind that no decoder here reads"):
        from_bytes(compressed(8, b"\xff\xd8" + bytes(100)), "a.dcm")


def test_a_transfer_syntax_without_any_decoder_is_rejected():
    with rejection("the DICOM transfer syntax MPEG2 Main Profile / Main Level is not supported; store it uncompressed"):
        dicom.require_decoder("1.2.840.10008.1.2.4.100")


def test_the_size_of_a_compressed_stream():
    for kind, mark in (("JPEG", b"\xff\xd8"), ("JPEG2000", b"\xff\x4f")):
        data = io.BytesIO()
        Image.new("RGB", (24, 20)).save(data, kind, **({"no_jp2": True} if kind == "JPEG2000" else {}))
        assert data.getvalue().startswith(mark) and dicom.stream_size(data.getvalue()) == (24, 20)
    assert dicom.stream_size(b"\xff\xd8\xff\xff\xf7\0\x0b\x08\0\x14\0\x18") == (24, 20)  # JPEG-LS, filled up
    assert dicom.stream_size(b"") is dicom.stream_size(b"\xff\xd8" + bytes(20)) is dicom.stream_size(bytes(64)) is None
