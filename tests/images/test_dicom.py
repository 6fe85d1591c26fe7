"""DICOM: every depth is shown as its 8-bit original, whatever the header lacks; what holds no image is rejected."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from conftest import rejection
from image_helpers import dicom as made
from image_helpers import require_near, small_dicom, stored, write_dicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from detector.images import dicom
from detector.images.read import decode, file_bytes, from_bytes, read

FILES = Path(pydicom.data.__file__).parent / "test_files"
# The compressed file, and the same image uncompressed.
PAIRS = {
    "SC_rgb_jpeg_gdcm.dcm": "",  # colours: their JPEG is of another colour space
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "MR_small_jp2klossless.dcm": "MR_small.dcm",
}


@pytest.mark.parametrize(("compressed", "plain"), PAIRS.items())
def test_a_compressed_image_is_what_it_was_before(compressed, plain):
    syntax = pydicom.dcmread(FILES / compressed, stop_before_pixels=True).file_meta.TransferSyntaxUID
    if not get_decoder(syntax).is_available:
        pytest.skip("requirements/dicom.txt is not installed")
    found = decode(file_bytes(FILES / compressed), compressed)
    if plain:
        assert np.array_equal(found.pixels, decode(file_bytes(FILES / plain), plain).pixels)
    else:
        assert found.colour and found.pixels.shape == (100, 100, 3) and len(np.unique(found.pixels)) > 2


@pytest.mark.parametrize("name", PAIRS)
def test_without_a_decoder_both_ways_out_are_named(name, monkeypatch):
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder._available", property(lambda decoder: {}), raising=False)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.missing_dependencies", property(lambda decoder: ["a"]))
    with rejection(rf"{name}: compressed as JPEG.*requirements/dicom\.txt.*gdcmconv --raw"):
        decode(file_bytes(FILES / name), name)


def compressed(jpeg: bytes) -> bytes:
    """Return a DICOM file that says 8 × 8 pixels, of a JPEG."""
    return stored(made(np.zeros((8, 8)), 8, syntax=JPEGBaseline8Bit, PixelData=encapsulate([jpeg])))


FLOATS = made(np.zeros((8, 8)), 8, FloatPixelData=np.zeros((8, 8), np.float32).tobytes())
del FLOATS.PixelData
SIGNED_COLOURS = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PixelRepresentation": 1, "PixelData": bytes(192)}
MPEG = made(np.zeros((8, 8)), 8, syntax="1.2.840.10008.1.2.4.100", PixelData=encapsulate([bytes(8)]))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((FILES / "test-SR.dcm").read_bytes(), r"a DICOM file without a radiograph \(.*\)"),
        ((FILES / "rtplan.dcm").read_bytes(), r"a DICOM file without a radiograph \(.*\)"),
        (bytes(128) + b"DICM" + bytes(20), "a DICOM file without a radiograph"),
        (stored(FLOATS), "a DICOM file without a radiograph"),
        (stored(made(np.zeros((8, 8)), 8, Rows=60000, Columns=60000)), "60000 x 60000 pixels, more than 30000000"),
        (compressed(b"\xff\xd8" + bytes(100)), "its compressed pixels are damaged, or of a kind that no decoder here"),
        (stored(MPEG), "the DICOM transfer syntax MPEG2 Main Profile / Main Level is not supported; store it"),
        (stored(made(np.zeros((8, 8)), 8, "RGB", **SIGNED_COLOURS)), "DICOM colours of kind RGB"),
    ],
)
def test_what_holds_no_image_that_can_be_shown_is_rejected(data, said, monkeypatch):
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.missing_dependencies", property(lambda decoder: []))
    with rejection(f"^a.dcm: {said}"):
        from_bytes(data, "a.dcm")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_depth_and_both_photometric_interpretations_are_read(tmp_path, grey, bits, photometric):
    shown = 255 - grey if photometric == "MONOCHROME1" else grey
    write_dicom(tmp_path / "IM0001", np.rint(shown / 255 * (2**bits - 1)).astype(int), bits, photometric)
    require_near(tmp_path / "IM0001", grey, 1)
    assert read(tmp_path / "IM0001").format == "DICOM"


def test_files_that_are_deflated_or_without_a_preamble_are_read(grey):
    assert np.array_equal(decode(stored(made(grey, 8, syntax=DeflatedExplicitVRLittleEndian)), "a.dcm").pixels, grey)
    whole = small_dicom()
    assert dicom.is_dicom(whole[132:]) and not dicom.is_dicom(b"\x08\x00nonsense")
    assert np.array_equal(decode(whole[132:], "a").pixels, decode(whole, "a").pixels)


@pytest.mark.parametrize(
    ("photometric", "samples", "read_as"),
    [
        ("HSV", 1, "PhotometricInterpretation MONOCHROME2"),
        ("YBR_FULL", 1, "PhotometricInterpretation MONOCHROME2"),
        ("monochrome2", 1, "PhotometricInterpretation MONOCHROME2"),
        ("MONOCHROME2", 3, "PhotometricInterpretation RGB"),
    ],
)
def test_a_kind_that_contradicts_the_number_of_samples_is_named(photometric, samples, read_as):
    dataset = made(np.zeros((8, 8)), 8, photometric, SamplesPerPixel=samples, PlanarConfiguration=0)
    dataset.PixelData = bytes(value for value in range(0, 256, 4) for _ in range(samples))
    found = from_bytes(stored(dataset), "a.dcm")
    assert found.colour == (samples == 3) and found.pixels.std() > 50
    assert found.note.startswith(f"its header lacks or contradicts, and is read as, {read_as}")


def test_window_rescaling_and_sign_are_applied(tmp_path, grey):
    write_dicom(tmp_path / "w.dcm", grey.astype(int) + 1000, 12, "MONOCHROME2", WindowCenter=1128, WindowWidth=256)
    require_near(tmp_path / "w.dcm", grey, 1.5)
    signed = grey.astype(int) * 16 - 2048
    write_dicom(tmp_path / "s.dcm", signed, 12, "MONOCHROME2", RescaleSlope=2, RescaleIntercept=-5)
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


UNSCALED = [{"RescaleSlope": "1e308"}, {"RescaleSlope": 0}, {"RescaleIntercept": "-1e200"}]


@pytest.mark.parametrize("said", [*UNUSABLE, *UNSCALED], ids=str)
def test_a_window_or_a_rescaling_that_cannot_be_used_is_left_out_with_a_note(grey, said, capfd):
    shown, plain = (decode(stored(made(grey.astype(int) * 16, **given)), "a.dcm") for given in (said, {}))
    assert np.array_equal(shown.pixels, plain.pixels)
    assert (shown.note, plain.note) == (dicom.NO_RESCALING if said in UNSCALED else dicom.NO_WINDOW, "")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "bits", "elements", "overlay_at"),
    [
        (lambda values: values << 4, 12, {"HighBit": 15}, 0),
        (lambda values: values, 12, {"HighBit": 15}, 0),
        (lambda values: values, 10, {}, 0),
        (lambda values: values * 16, 12, {}, 0),
        (lambda values: values | 0x1000, 12, {}, 12),
        (lambda values: (values - 2048) & 0xFFF, 12, {"PixelRepresentation": 1}, 0),
        (lambda values: values * 8 - 16384, 12, {}, 0),
    ],
    ids=["left", "not left", "12 in 10", "16 in 12", "overlay", "sign in 12 bits", "signed 15 in 12"],
)
def test_bits_beyond_those_stored(tmp_path, grey, change, bits, elements, overlay_at):
    dataset = made(change(np.rint(grey / 255 * 4095).astype(int)), bits, **elements)
    if overlay_at:
        dataset.add_new(0x60000102, "US", overlay_at)
    (tmp_path / "a.dcm").write_bytes(stored(dataset))
    require_near(tmp_path / "a.dcm", grey, 1.5)
    wrong = not (elements or overlay_at)
    assert read(tmp_path / "a.dcm").note == (f"values beyond the {bits} bits that its header says" if wrong else "")


@pytest.mark.parametrize("name", ["PixelRepresentation", "BitsStored", "SamplesPerPixel", "PhotometricInterpretation"])
def test_what_a_header_lacks_of_its_pixels_is_assumed(tmp_path, grey, name):
    dataset = made(grey, 8)
    delattr(dataset, name)
    (tmp_path / "a.dcm").write_bytes(stored(dataset))
    require_near(tmp_path / "a.dcm", grey, 0)
    assert f"its header lacks or contradicts, and is read as, {name} " in read(tmp_path / "a.dcm").note


def test_a_lookup_table_shorter_than_it_says_is_rejected(grey):
    item = Dataset()
    item.LUTDescriptor = [256, 0, 16]
    item.add_new(0x00283006, "US", list(range(5)))
    with rejection("a DICOM lookup table of 5 entries that says it has 256"):
        decode(stored(made(grey, 8, ModalityLUTSequence=[item])), "a.dcm")


ORIENTATIONS = {
    ("L", "F"): lambda upright: upright,
    ("R", "F"): lambda upright: upright[:, ::-1],
    ("R", "H"): lambda upright: upright[::-1, ::-1],
    ("LP", "HA"): lambda upright: upright[::-1],
    ("F", "L"): lambda upright: upright.T,
    ("F", "R"): lambda upright: upright[:, ::-1].T,
    ("A", "H"): lambda upright: upright[::-1],
    ("P", "F"): lambda upright: upright,
    ("L", "R"): lambda upright: upright,
    ("L",): lambda upright: upright,
}


@pytest.mark.parametrize("said", ORIENTATIONS, ids="/".join)
def test_an_image_is_turned_as_patient_orientation_says_with_a_note(grey, said):
    turned = np.ascontiguousarray(ORIENTATIONS[said](grey))
    found = decode(stored(made(turned, 8, PatientOrientation=list(said))), "a.dcm")
    assert np.array_equal(found.pixels, grey)
    note = rf"turned upright, as its header says \(PatientOrientation {'/'.join(said)}\)"
    assert re.fullmatch("" if turned.shape == grey.shape and np.array_equal(turned, grey) else note, found.note)
