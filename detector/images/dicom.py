"""DICOM radiographs → 8-bit pixels."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.images import dicom_floats, dicom_values
from detector.images.dicom_floats import float_bits
from detector.images.dicom_polarity import is_inverted
from detector.images.dicom_sign import with_sign
from detector.images.grey_range import to_8_bits
from detector.images.raster import SCAN, Shown, first_shown, joined

if TYPE_CHECKING:
    from pydicom import Dataset

MARK_OFFSET = 128
MARK = b"DICM"
# A deflated data set can expand a thousandfold in memory before a single element of it can be checked.
DEFLATED = b"1.2.840.10008.1.2.1.99"  # named in the file's meta information, right after the mark
# A file without a preamble begins so.
GROUPS = (
    b"\x02\x00\x00\x00UL",
    b"\x02\x00\x01\x00OB",
    b"\x02\x00\x02\x00UI",
    b"\x08\x00",
)
# First bytes of a compressed stream, and the markers of JPEG and JPEG-LS that give its size.
JPEG_2000, JPEG_START = b"\xff\x4f\xff\x51", b"\xff\xd8"
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")  # transfer syntaxes: baseline, extended


def is_dicom(head: bytes) -> bool:
    """Return whether a file is DICOM by its mark, four letters after a preamble of 128 bytes (DICOM PS3.10, 7.1).

    A file without a preamble is one if it begins with an element of the groups that come first.
    """
    return head[MARK_OFFSET : MARK_OFFSET + len(MARK)] == MARK or is_bare(head)


def is_bare(head: bytes) -> bool:
    """Return whether it is a DICOM file without a preamble: its first elements are those of group 2 or 8."""
    if head.startswith(GROUPS[:3]):
        return True
    # Group 8, an element of it, and a length or a value representation that makes sense.
    return head.startswith(GROUPS[3]) and ((head[4:6].isalpha() and head[4:6].isupper()) or head[6:8] == b"\x00\x00")


def read_dataset(data: bytes, header_of: Sequence[str] = ()) -> Dataset:
    """Parse a DICOM file, with or without a preamble and transfer syntax, as pydicom's ``force`` does.

    Where `header_of` names attributes, only these are read, and `data` may end before the pixels.

    Raises
    ------
    InputError
        If it is deflated. A damaged file raises nearly anything else.
    """
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    # What clinical archives write is often not quite to the letter; what cannot be decoded is rejected later.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    if DEFLATED in data[:1024]:
        raise InputError("deflated DICOM; store it uncompressed")
    names = list(header_of) or None
    dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=bool(names), specific_tags=names)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return dataset


def decode(data: bytes, max_pixels: int, max_scanned: int) -> tuple[np.ndarray, bool, str]:
    """Decode the first frame that shows something of a DICOM file, for display.

    The stored values go through the modality and the value-of-interest transformation (DICOM PS3.4, N.2). A window that
    cannot be used, or beside the values, is left out, with a note. Whatever has no window is shown at the range that
    `grey_range` chooses from the values, without padding. An image of which low values mean bright is
    inverted, such as one of ``MONOCHROME1``.

    Parameters
    ----------
    data : bytes
        The whole file.
    max_pixels : int
        Reject an image of more pixels than this before they are decoded.
    max_scanned : int
        Reject a JPEG of more pixels than this times its scans.

    Returns
    -------
    pixels : ndarray of shape (rows, columns) or (rows, columns, 3), uint8
    colour : bool
        Whether the file stores colour.
    note : str
        What a user should know of it; mostly empty.

    Raises
    ------
    InputError
        If the file holds no image, one that is too large, or one in an encoding that is not supported.
    """
    dataset = read_dataset(data)
    floats = float_bits(dataset)
    if not (floats or "PixelData" in dataset) or any(keyword not in dataset for keyword in ("Rows", "Columns")):
        raise InputError(_without_image(dataset))
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise InputError(f"{dataset.Columns} x {dataset.Rows} pixels, more than {max_pixels}")
    scans = dataset.PixelData.count(SCAN) if not floats and dataset.file_meta.TransferSyntaxUID in JPEG else 0
    if scans * int(dataset.Rows) * int(dataset.Columns) > max_scanned:
        raise InputError(f"a JPEG of {scans} scans, a decompression bomb")
    require_decoder(str(dataset.file_meta.TransferSyntaxUID))
    completed = dicom_floats.complete(dataset) if floats else dicom_values.complete(dataset)
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    (shown, colour, note), frame = first_shown(frames, lambda position: _shown(dataset, position))
    note = joined(completed, note)
    if frames > 1:
        note = joined(note, f"{frames} frames, of which frame {frame + 1} is used")
    return shown, colour, note


def _without_image(dataset: Dataset) -> str:
    kind = getattr(dataset.get("SOPClassUID"), "name", "")
    return f"a DICOM file without an image ({kind})" if kind else "a DICOM file without an image"


def require_decoder(syntax: str) -> None:
    """Reject a transfer syntax that no installed package decodes.

    Raises
    ------
    InputError
        In words, with both ways out.
    """
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID, UncompressedTransferSyntaxes

    if syntax in UncompressedTransferSyntaxes:
        return
    name = UID(syntax).name
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise InputError(f"the DICOM transfer syntax {name} is not supported; store it uncompressed") from None
    if not available:
        raise InputError(needs_decoder(syntax))


def needs_decoder(syntax: str) -> str:
    """Return the sentence for a transfer syntax that needs more packages."""
    from pydicom.uid import UID

    name = UID(syntax).name.split(" (")[0]
    return (
        f"compressed as {name}; to read it: pip install -r requirements/dicom.txt, or store it uncompressed: "
        "gdcmconv --raw IN.dcm OUT.dcm"
    )


def _require_size(dataset: Dataset, frame: int) -> None:
    """Reject a compressed frame of another size than the header says: decoders would decode it whole.

    Raises
    ------
    InputError
    """
    from pydicom.encaps import get_frame

    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    size = stream_size(get_frame(dataset.PixelData, frame, number_of_frames=frames))
    if size and size != (dataset.Columns, dataset.Rows):
        raise InputError(
            f"its compressed image has {size[0]} x {size[1]} pixels, its header says {dataset.Columns} x {dataset.Rows}"
        )


def stream_size(stream: bytes) -> tuple[int, int] | None:
    """Return width and height that a JPEG, JPEG-LS or JPEG 2000 stream says; None where it says none."""
    if stream.startswith(JPEG_2000):
        right, down, left, top = struct.unpack_from(">4I", stream, 8)
        return right - left, down - top
    at = 2 if stream.startswith(JPEG_START) else len(stream)
    while at + 9 <= len(stream):
        mark, kind, length, _, height, width = struct.unpack_from(">BBHBHH", stream, at)
        if mark != 0xFF:
            return None
        if kind in FRAME_MARKERS:
            return width, height
        at += 1 if kind == 0xFF else 2 + length  # a marker may be filled up with 0xFF
    return None


def _shown(dataset: Dataset, frame: int) -> Shown:
    """Return a frame's 8-bit pixels, whether they are colour, and a note."""
    from pydicom.pixels import apply_color_lut, get_decoder, pixel_array

    compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
    if compressed:
        _require_size(dataset, frame)
    try:
        stored = pixel_array(dataset, index=frame, correct_unused_bits=compressed)
    except RuntimeError as error:
        # Pillow decodes most JPEGs, but not all that the transfer syntax allows.
        if "Unable to decode" in str(error):
            syntax = str(dataset.file_meta.TransferSyntaxUID)
            if get_decoder(syntax).missing_dependencies:
                raise InputError(needs_decoder(syntax)) from None
            raise InputError("its compressed pixels are damaged, or of a kind that no decoder here reads") from None
        raise
    kind = dataset.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if kind not in dicom_values.GREY:
        if stored.ndim != 3 or stored.dtype.kind != "u":
            raise InputError(f"DICOM colours of kind {kind}")
        pixels, note = to_8_bits(stored)
        return pixels, True, note
    beyond = sign = ""
    if float_bits(dataset):
        stored, padding = dicom_floats.without_padding(stored, dataset)
    else:
        stored, beyond = (stored, "") if compressed else dicom_values.used_bits(stored, dataset)
        padding = dicom_values.padding(stored, dataset)
        stored, sign = with_sign(stored, int(dataset.BitsStored))
    values, common, rescaled = dicom_values.modality(stored, dataset)
    pixels, note = dicom_values.windowed(values, dataset, padding, common)
    inverted, polarity = is_inverted(dataset)
    if inverted:
        pixels = 255 - pixels
    if padding is not None:
        pixels[padding] = 0
    return pixels, False, joined(beyond, sign, rescaled, polarity, note)
