"""Stored DICOM values → 8-bit pixels: padding, modality and value-of-interest transformation (DICOM PS3.4, N.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.images.grey_range import COMMON, DEPTHS, ROWS, Range, is_dark, is_flat, scaled, to_8_bits
from detector.images.raster import joined

if TYPE_CHECKING:
    from pydicom import Dataset

WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# No radiograph's values are outside of these, and sums of them stay finite.
SMALLEST, LARGEST = 1e-6, 1e12
STORAGE = ("SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "PlanarConfiguration")
OVERLAYS = range(0x6000, 0x6020, 2)  # groups, of which element 0102 says in which bit an overlay lies
GREY, PALETTE = ("MONOCHROME1", "MONOCHROME2"), "PALETTE COLOR"
NO_WINDOW = "a window that cannot be used; shown at the range of its values"
NO_RESCALING = "a rescale slope or intercept that cannot be used; shown without rescaling"
BESIDE = "a window beside the values; shown at their range"
LEAST_GREY = 0.1  # share of the pixels that a window must show as grey
LEAST_SPAN = 0.25  # share of the grey range between the 1st and the 99th percentile of what a window must show


def complete(dataset: Dataset) -> str:
    """Fill in what a header lacks of how its pixels are stored, or contradicts; return a note, mostly empty."""
    said = {name: _number(dataset, name) for name in STORAGE}
    kind = str(dataset.get("PhotometricInterpretation") or "").upper()
    # Where the number of samples is given, the kind has to fit it.
    samples = said["SamplesPerPixel"] or (1 if not kind or kind in GREY or kind == PALETTE else 3)
    fitting = kind in GREY or kind == PALETTE if samples == 1 else kind not in ("", PALETTE, *GREY)
    kind = kind if fitting else "MONOCHROME2" if samples == 1 else "RGB"
    size = int(dataset.Rows) * int(dataset.Columns) * samples * max(1, _number(dataset, "NumberOfFrames") or 1)
    bits = said["BitsAllocated"] or (8 if len(dataset.PixelData) < 2 * size else 16)
    stored = said["BitsStored"] or bits
    read = {
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": kind,
        "BitsAllocated": bits,
        "BitsStored": min(stored, bits),
        "PixelRepresentation": said["PixelRepresentation"] or 0,
        "PlanarConfiguration": said["PlanarConfiguration"] or 0,
    }
    if samples == 1:
        del read["PlanarConfiguration"]
    changed = []
    for name, value in read.items():
        before = str(dataset.get(name) or "") if isinstance(value, str) else said[name]
        if before != value:
            setattr(dataset, name, value if isinstance(value, str) else int(value))
            changed.append(f"{name} {value if isinstance(value, str) else int(value)}")
    return f"its header lacks or contradicts, and is read as, {', '.join(changed)}" if changed else ""


def used_bits(stored: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return uncompressed values without the bits that hold none, and a note.

    Bits above those stored may hold overlays, or the sign, or nothing (DICOM PS3.5, 8.1.1). Where no overlay is
    announced there and values need these bits, the header is wrong: cut off, they would begin at 0 again.

    Parameters
    ----------
    stored : ndarray of shape (rows, columns), int
        As they lie in the file.
    dataset : Dataset

    Returns
    -------
    values : ndarray of shape (rows, columns), int
    note : str
    """
    bits, allocated = int(dataset.BitsStored), 8 * stored.dtype.itemsize
    if bits >= allocated:
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


def padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Return where an image is padded (DICOM PS3.3, C.7.5.1.1.2), or None."""
    value = _number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = _number(dataset, "PixelPaddingRangeLimit")
    # Of signed pixels some write the value as if it were unsigned, or the other way: 62536 is -3000 in 16 bits.
    whole = 2.0 ** (8 * stored.dtype.itemsize)
    least, most = np.iinfo(stored.dtype).min, np.iinfo(stored.dtype).max
    low, high = sorted(
        one + whole * (int(one < least) - int(one > most)) for one in (value, value if limit is None else limit)
    )
    padding = (stored >= low) & (stored <= high)
    return padding if padding.any() and not padding.all() else None


def modality(stored: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, Sequence[Range], str]:
    """Return values after the modality transformation, the ranges that they may have been made for, and a note."""
    item = _lookup_table(dataset, "ModalityLUTSequence")
    if item is not None:
        return apply_table(stored, item), (_table_range(item), *COMMON), ""
    if stored.dtype.kind == "f":
        bits, signed = DEPTHS[-1], False
    else:
        bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    limits = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1.0) if signed else (0.0, 2.0**bits - 1.0)
    slope, intercept = _number(dataset, "RescaleSlope", 1.0), _number(dataset, "RescaleIntercept", 0.0)
    if slope is None or intercept is None or not SMALLEST <= abs(slope) < LARGEST or abs(intercept) >= LARGEST:
        return stored, (limits, *COMMON), NO_RESCALING
    if (slope, intercept) == (1.0, 0.0):
        return stored, (limits, *COMMON), ""
    # Values are in other units now; a range that was common before is one still.
    moved = [sorted((one[0] * slope + intercept, one[1] * slope + intercept)) for one in (limits, *COMMON)]
    return stored.astype(np.float64) * slope + intercept, [(low, high) for low, high in moved], ""


def windowed(
    values: np.ndarray, dataset: Dataset, padding: np.ndarray | None, common: Sequence[Range]
) -> tuple[np.ndarray, str]:
    """Return values after the value-of-interest transformation, 8 bits, and a note."""
    item = _lookup_table(dataset, "VOILUTSequence")
    if item is not None:
        shown, note = to_8_bits(apply_table(values, item), padding, (_table_range(item), *COMMON))
        if not is_flat(shown if padding is None else shown[~padding]):
            return shown, note
    if any(keyword in dataset for keyword in WINDOW):
        window = _usable_window(dataset)
        if window is None:
            pixels, note = to_8_bits(values, padding, common)
            return pixels, joined(NO_WINDOW, note)
        shown = _window(values, *window)
        # A window as wide as the values are far apart is a threshold; one beside them shows nothing.
        if is_grey(shown if padding is None else shown[~padding]):
            return shown, ""
        pixels, note = to_8_bits(values, padding, common)
        return pixels, joined(BESIDE, note)
    return to_8_bits(values, padding, common)


def is_grey(pixels: np.ndarray) -> bool:
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
        with np.errstate(over="ignore"):
            shown[start : start + ROWS] = np.rint(
                255.0 / (1.0 + np.exp(-4.0 * (values[start : start + ROWS] - centre) / width))
            )
    return shown


def _usable_window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Return the first window's centre, width and function, or None if it shows nothing (DICOM PS3.3, C.11.2.1.2)."""
    centre, width = (_number(dataset, keyword) for keyword in WINDOW[:2])
    try:
        function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    # What is no text makes pydicom raise nearly anything.
    except Exception:
        return None
    narrowest = 1.0 if function == "LINEAR" else SMALLEST
    if centre is None or width is None or function not in FUNCTIONS:
        return None
    if not (abs(centre) < LARGEST and narrowest < width < LARGEST):
        return None
    return centre, width, function


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


def _lookup_table(dataset: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence of lookup tables; None where there is none, or it holds none."""
    sequence = dataset.get(keyword)
    if not sequence or "LUTDescriptor" not in sequence[0] or "LUTData" not in sequence[0]:
        return None
    return sequence[0]


def _table_range(item: Dataset) -> Range:
    return 0.0, 2.0 ** int(np.atleast_1d(item.LUTDescriptor)[2]) - 1.0


def apply_table(values: np.ndarray, item: Dataset) -> np.ndarray:
    """Return values through a lookup table of any bit depth (DICOM PS3.3, C.11.1.1 and C.11.2.1.1).

    pydicom's own functions take tables of 8 and 16 bits only.

    Raises
    ------
    InputError
        If the table has another length than it says.
    """
    descriptor = [int(number) for number in np.atleast_1d(item.LUTDescriptor)]
    count = descriptor[0] or 65536
    data = item.LUTData
    if isinstance(data, bytes):
        table = np.frombuffer(data, np.uint8 if len(data) == count else "<u2")
    else:
        table = np.atleast_1d(np.asarray(data, np.int64))
    if len(descriptor) != 3 or not 0 < len(table) <= 65537 or len(table) < count:
        raise InputError(f"a DICOM lookup table of {len(table)} entries that says it has {count}")
    table = table[:count]
    first = descriptor[1]
    if values.min() < 0 and first > 32767:
        first -= 65536
    return table[np.clip(values.astype(np.int64) - first, 0, count - 1)]
