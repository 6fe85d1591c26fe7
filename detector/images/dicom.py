"""DICOM radiographs → 8-bit pixels: padding, modality and value-of-interest transformation (DICOM PS3.4, N.2)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from detector import InputError
from detector.images import dicom_header
from detector.images.dicom_header import DicomHeader
from detector.images.grey_range import COMMON, ROWS, Range, is_dark, is_flat, scaled, to_8_bits
from detector.images.raster import Decoded, first_shown, joined, rejecting, require_pixels

MARK, MARK_OFFSET = b"DICM", 128
# A file without a preamble begins with the meta information, or with an element of group 8.
META = (b"\x02\x00\x00\x00UL", b"\x02\x00\x01\x00OB", b"\x02\x00\x02\x00UI")
GROUP_8 = b"\x08\x00"
FIRST_BYTES = 1024
HEADER_BYTES = 2**20  # more than any radiograph's header
WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# No radiograph's values are outside of these, and sums of them stay finite.
SMALLEST, LARGEST = 1e-6, 1e12
OVERLAYS = range(0x6000, 0x6020, 2)  # groups, of which element 0102 says in which bit an overlay lies
GREY, PALETTE = ("MONOCHROME1", "MONOCHROME2"), "PALETTE COLOR"
NO_WINDOW = "a window that cannot be used; shown at the range of its values"
NO_RESCALING = "a rescale slope or intercept that cannot be used; shown without rescaling"
BESIDE = "a window beside the values; shown at their range"
LEAST_GREY = 0.1  # share of the pixels that a window must show as grey
LEAST_SPAN = 0.25  # share of the grey range between the 1st and the 99th percentile of what a window must show


def is_dicom(head: bytes) -> bool:
    """Return whether a file is DICOM by its first bytes: four letters after a preamble of 128 (DICOM PS3.10, 7.1).

    A file without a preamble is one if its first element is of group 2, or is of group 8 and has a length or a value
    representation that makes sense.
    """
    if head[MARK_OFFSET : MARK_OFFSET + len(MARK)] == MARK or head.startswith(META):
        return True
    return head.startswith(GROUP_8) and ((head[4:6].isalpha() and head[4:6].isupper()) or head[6:8] == b"\0\0")


def parse(data: bytes, only: Sequence[str] = ()) -> Dataset:
    """Parse a DICOM file, with or without a preamble and transfer syntax.

    Where `only` names attributes, these alone are read, and `data` may end before the pixels.
    """
    # What clinical archives write is often not quite to the letter; what cannot be decoded is rejected later.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    dataset = pydicom.dcmread(
        io.BytesIO(data), force=True, stop_before_pixels=bool(only), specific_tags=list(only) or None
    )
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return dataset


def read_header(path: Path) -> DicomHeader | None:
    """Return what the header of a DICOM file says, without its image; None of another file, or one that is damaged."""
    if not path.is_file():
        return None
    with suppress(OSError, InputError), rejecting(path), open(path, "rb") as file:
        head = file.read(FIRST_BYTES)
        return header(head + file.read(HEADER_BYTES)) if is_dicom(head) else None
    return None


def header(head: bytes) -> DicomHeader:
    """Return what the beginning of a DICOM file says; nearly any exception is raised where it is damaged."""
    return dicom_header.of(parse(head, dicom_header.ATTRIBUTES))


def decode(dataset: Dataset) -> Decoded:
    """Decode the first frame that shows something of a DICOM file, as `parse` returns it, upright, for display.

    The stored values go through the modality and the value-of-interest transformation. A window that cannot be used, or
    beside the values, is left out, with a note. Whatever has no window is shown at the range that `grey_range` chooses
    from the values, without padding. ``MONOCHROME1`` is inverted: its low values mean bright. What the header lacks of
    how the pixels are stored is filled in. Nearly any exception is raised where the file is damaged.
    """
    if any(keyword not in dataset for keyword in ("PixelData", "Rows", "Columns")):
        kind = getattr(dataset.get("SOPClassUID"), "name", "")
        raise InputError("a DICOM file without a radiograph" + (f" ({kind})" if kind else ""))
    require_pixels(int(dataset.Columns), int(dataset.Rows))
    said = dicom_header.of(dataset)
    completed = _complete(dataset)
    shown = first_shown(max(1, int(dataset.get("NumberOfFrames") or 1)), partial(_frame, dataset), "frame")
    pixels, turned = _upright(shown.pixels, dataset)
    return Decoded(pixels, shown.colour, joined(said.note, completed, shown.note, turned), "DICOM", said)


def _complete(dataset: Dataset) -> str:
    """Fill in what a header lacks of how its pixels are stored, or contradicts; return a note, mostly empty."""
    number = partial(_number, dataset)
    kind = str(dataset.get("PhotometricInterpretation") or "").upper()
    samples = int(number("SamplesPerPixel") or (1 if kind in ("", PALETTE, *GREY) else 3))
    # Where the number of samples is given, the kind has to fit it.
    if not kind or (kind in (PALETTE, *GREY)) != (samples == 1):
        kind = "MONOCHROME2" if samples == 1 else "RGB"
    size = int(dataset.Rows) * int(dataset.Columns) * samples * max(1, number("NumberOfFrames") or 1)
    bits = int(number("BitsAllocated") or (8 if len(dataset.PixelData) < 2 * size else 16))
    read: dict[str, int | str] = {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": kind,
        "BitsAllocated": bits,
        "BitsStored": min(int(number("BitsStored") or bits), bits),
        "PixelRepresentation": int(number("PixelRepresentation") or 0),
    }
    if samples > 1:
        read["PlanarConfiguration"] = int(number("PlanarConfiguration") or 0)
    changed = {name: value for name, value in read.items() if dataset.get(name) != value}
    for name, value in changed.items():
        setattr(dataset, name, value)
    listed = ", ".join(f"{name} {value}" for name, value in changed.items())
    return f"its header lacks or contradicts, and is read as, {listed}" if changed else ""


def _stored(dataset: Dataset, frame: int) -> np.ndarray:
    """Return a frame's values as they are stored; reject what no installed package decodes, with both ways out."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        return pixel_array(dataset, index=frame, correct_unused_bits=syntax.is_compressed)
    except NotImplementedError:
        raise InputError(f"the DICOM transfer syntax {syntax.name} is not supported; store it uncompressed") from None
    except RuntimeError:
        # Pillow decodes most JPEGs, but not all that the transfer syntax allows.
        if not get_decoder(syntax).missing_dependencies:
            raise InputError("its compressed pixels are damaged, or of a kind that no decoder here reads") from None
        raise InputError(
            f"compressed as {syntax.name.split(' (')[0]}; to read it: pip install -r requirements/dicom.txt, or store "
            "it uncompressed: gdcmconv --raw IN.dcm OUT.dcm"
        ) from None


def _frame(dataset: Dataset, frame: int) -> Decoded:
    stored = _stored(dataset, frame)
    kind = dataset.PhotometricInterpretation
    if kind == PALETTE:
        stored = apply_color_lut(stored, dataset)
    if kind not in GREY:
        if stored.ndim != 3 or stored.dtype.kind != "u":
            raise InputError(f"DICOM colours of kind {kind}")
        pixels, note = to_8_bits(stored)
        return Decoded(pixels, True, note)
    stored, beyond = _used_bits(stored, dataset)
    padding = _padding(stored, dataset)
    values, common, rescaled = _modality(stored, dataset)
    pixels, note = _windowed(values, dataset, padding, common)
    if kind == "MONOCHROME1":
        pixels = 255 - pixels
    if padding is not None:
        pixels[padding] = 0
    return Decoded(pixels, False, joined(beyond, rescaled, note))


def _upright(pixels: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return an image with the patient's head at the top and left side at the right, and a note where it was turned.

    PatientOrientation says where rows, from left to right, and columns, from top to bottom, lead to: head, feet, right,
    left, and of a lateral view the front (A) or the back (P) (DICOM PS3.3, C.7.6.1.1.1).
    """
    said = [str(value).upper() for value in dataset.get("PatientOrientation") or ()]
    row, column = (value[:1] for value in said) if len(said) == 2 else ("", "")
    across = row in ("H", "F") and column in ("R", "L", "A", "P")
    if not across and not (row in ("R", "L", "A", "P") and column in ("H", "F")):
        return pixels, ""
    if across:
        pixels, row, column = pixels.swapaxes(0, 1), column, row
    if column == "H":
        pixels = pixels[::-1]
    if row == "R":
        pixels = pixels[:, ::-1]
    turned = across or column == "H" or row == "R"
    note = f"turned upright, as its header says (PatientOrientation {'/'.join(said)})" if turned else ""
    return np.ascontiguousarray(pixels), note


def _used_bits(stored: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return uncompressed values without the bits that hold none, and a note.

    Bits above those stored may hold overlays, or the sign, or nothing (DICOM PS3.5, 8.1.1). Where no overlay is
    announced there and values need these bits, the header is wrong: cut off, they would begin at 0 again.
    """
    bits, allocated = int(dataset.BitsStored), 8 * stored.dtype.itemsize
    if bits >= allocated or dataset.file_meta.TransferSyntaxUID.is_compressed:
        return stored, ""
    shift = int(_number(dataset, "HighBit", bits - 1) or 0) + 1 - bits
    if 0 < shift <= allocated - bits and not (stored & ((1 << shift) - 1)).any():
        return stored >> shift, ""
    half, signed = 1 << (bits - 1), stored.dtype.kind == "i"
    least, most = int(stored.min()), int(stored.max())
    if (-half if signed else 0) <= least and most < (half if signed else 2 * half):
        return stored, ""
    without_sign = signed and least >= 0 and most < 2 * half
    if without_sign or any((group, 0x0102) in dataset for group in OVERLAYS):
        kept = stored & (2 * half - 1)
        return (kept ^ half) - half if signed else kept, ""
    return stored, f"values beyond the {bits} bits that its header says"


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Return where an image is padded (DICOM PS3.3, C.7.5.1.1.2), or None."""
    value = _number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = _number(dataset, "PixelPaddingRangeLimit")
    # Of signed pixels some write the value as if it were unsigned, or the other way: 62536 is -3000 in 16 bits.
    whole, limits = 2.0 ** (8 * stored.dtype.itemsize), np.iinfo(stored.dtype)
    low, high = sorted(
        one + whole * (int(one < limits.min) - int(one > limits.max))
        for one in (value, value if limit is None else limit)
    )
    padding = (stored >= low) & (stored <= high)
    return padding if padding.any() and not padding.all() else None


def _modality(stored: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, Sequence[Range], str]:
    """Return values after the modality transformation, the ranges that they may have been made for, and a note."""
    if table := _looked_up(stored, dataset, "ModalityLUTSequence"):
        return *table, ""
    bits = int(dataset.BitsStored)
    low = -(2.0 ** (bits - 1)) if dataset.PixelRepresentation else 0.0
    common = ((low, low + 2.0**bits - 1.0), *COMMON)
    slope, intercept = _number(dataset, "RescaleSlope", 1.0), _number(dataset, "RescaleIntercept", 0.0)
    if slope is None or intercept is None or not SMALLEST <= abs(slope) < LARGEST or abs(intercept) >= LARGEST:
        return stored, common, NO_RESCALING
    if (slope, intercept) == (1.0, 0.0):
        return stored, common, ""
    # Values are in other units now; a range that was common before is one still.
    moved = [sorted((one[0] * slope + intercept, one[1] * slope + intercept)) for one in common]
    return stored.astype(np.float64) * slope + intercept, [(low, high) for low, high in moved], ""


def _windowed(
    values: np.ndarray, dataset: Dataset, padding: np.ndarray | None, common: Sequence[Range]
) -> tuple[np.ndarray, str]:
    """Return values after the value-of-interest transformation, 8 bits, and a note."""
    inside = slice(None) if padding is None else ~padding
    if table := _looked_up(values, dataset, "VOILUTSequence"):
        shown, note = to_8_bits(table[0], padding, table[1])
        if not is_flat(shown[inside]):
            return shown, note
    said = ""
    if any(keyword in dataset for keyword in WINDOW):
        window = _usable_window(dataset)
        said = BESIDE if window else NO_WINDOW
        # A window as wide as the values are far apart is a threshold; one beside them shows nothing.
        if window and _is_grey((shown := _window(values, *window))[inside]):
            return shown, ""
    shown, note = to_8_bits(values, padding, common)
    return shown, joined(said, note)


def _is_grey(pixels: np.ndarray) -> bool:
    """Return whether 8-bit pixels show more than black and white: at least a tenth, over a quarter of the range.

    A window of all values that the bits could hold says nothing of those that are used.
    """
    between = float(((pixels > 0) & (pixels < 255)).mean())
    return between >= LEAST_GREY and not is_flat(pixels, LEAST_SPAN) and not is_dark(pixels)


def _window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """Return values through a window, 0…255 (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if function == "LINEAR":
        return scaled(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    if function == "LINEAR_EXACT":
        return scaled(values, centre - width / 2, centre + width / 2)
    shown = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), ROWS):
        part = slice(start, start + ROWS)
        with np.errstate(over="ignore"):
            shown[part] = np.rint(255.0 / (1.0 + np.exp(-4.0 * (values[part] - centre) / width)))
    return shown


def _usable_window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Return the first window's centre, width and function, or None if it shows nothing (DICOM PS3.3, C.11.2.1.2)."""
    centre, width = (_number(dataset, keyword) for keyword in WINDOW[:2])
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if centre is None or width is None or function not in FUNCTIONS or abs(centre) >= LARGEST:
        return None
    narrowest = 1.0 if function == "LINEAR" else SMALLEST
    return (centre, width, function) if narrowest < width < LARGEST else None


def _number(dataset: Dataset, keyword: str, missing: float | None = None) -> float | None:
    """Return the first value of an attribute as a number; None where it is not one, `missing` where it is absent."""
    try:
        if keyword not in dataset or dataset[keyword].value in (None, "", []):
            return missing
        value = float(np.atleast_1d(dataset[keyword].value)[0])
    # What is no number makes pydicom raise nearly anything.
    except Exception:
        return None
    return value if np.isfinite(value) else None


def _looked_up(values: np.ndarray, dataset: Dataset, keyword: str) -> tuple[np.ndarray, Sequence[Range]] | None:
    """Return values through the first lookup table of a sequence, and the ranges that they may have; None without one.

    pydicom's own functions take tables of 8 and 16 bits only (DICOM PS3.3, C.11.1.1 and C.11.2.1.1).
    """
    item = (dataset.get(keyword) or [Dataset()])[0]
    if "LUTDescriptor" not in item or "LUTData" not in item:
        return None
    count, first, bits = (int(number) for number in np.atleast_1d(item.LUTDescriptor))
    count, data = count or 65536, item.LUTData
    if isinstance(data, bytes):
        table = np.frombuffer(data, np.uint8 if len(data) == count else "<u2")
    else:
        table = np.atleast_1d(np.asarray(data, np.int64))
    if not count <= len(table) <= 65537:
        raise InputError(f"a DICOM lookup table of {len(table)} entries that says it has {count}")
    if values.min() < 0 and first > 32767:
        first -= 65536
    found = table[np.clip(values.astype(np.int64) - first, 0, count - 1)]
    return found, ((0.0, 2.0**bits - 1.0), *COMMON)
