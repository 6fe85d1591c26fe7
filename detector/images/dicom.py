"""DICOM radiographs → 8-bit grey."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.images.raster import SCAN, quieten

if TYPE_CHECKING:
    from pydicom import Dataset

MARK_OFFSET = 128
MARK = b"DICM"
# A deflated data set can expand a thousandfold in memory before a single element of it can be checked.
DEFLATED = b"1.2.840.10008.1.2.1.99"  # named in the file's meta information, right after the mark

JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")  # transfer syntaxes: baseline, extended
ROWS = 64  # displayed at a time
WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# No radiograph's values are outside of these, and sums of them stay finite.
SMALLEST, LARGEST = 1e-6, 1e12
NO_WINDOW = "a window that cannot be used; shown at the full range"
HEADER_BYTES = 2**20  # more than any radiograph's header


def is_dicom(head: bytes) -> bool:
    """Tell a DICOM file by its mark: four letters after a preamble of 128 bytes (DICOM PS3.10, 7.1)."""
    return head[MARK_OFFSET : MARK_OFFSET + len(MARK)] == MARK


def header(path: Path, attributes: Sequence[str]) -> dict[str, str]:
    """Return some attributes of a DICOM file's header, as text, without reading its image.

    Parameters
    ----------
    path : Path
    attributes : sequence of str
        By their keywords, such as ``"PatientAge"``.

    Returns
    -------
    dict of str to str
        Empty text for an attribute that is missing.

    Raises
    ------
    InputError
        If the file is missing or no DICOM file.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    return parse_header(head, path, attributes)


def parse_header(head: bytes, name: object, attributes: Sequence[str]) -> dict[str, str]:
    """Return attributes of the beginning of a DICOM file; `name` is what errors call it.

    Raises
    ------
    InputError
    """
    import pydicom

    quieten()
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    if not is_dicom(head):
        raise InputError(f"{name}: no DICOM file")
    if DEFLATED in head[:1024]:
        raise InputError(f"{name}: deflated DICOM; store it uncompressed")
    try:
        dataset = pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True, specific_tags=list(attributes))
        return {keyword: _as_text(dataset.get(keyword)) for keyword in attributes}
    # A damaged file makes pydicom raise nearly anything.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: a DICOM header that cannot be read ({reason[:200]})") from None


def _as_text(value: object) -> str:
    text = "" if value is None else str(value)
    return text.strip() if text.isprintable() else ""


def decode(data: bytes, max_pixels: int, max_scanned: int) -> tuple[np.ndarray, bool, str]:
    """Decode the first border of a DICOM file for display.

    The stored values go through the modality and the value-of-interest transformation (DICOM PS3.4, N.2); the range
    that these can reach, not the range that this image happens to reach, is scaled to 0…255. ``MONOCHROME1``, where
    low means bright, is inverted. A window that cannot be used is left out: the film is shown at its full range.

    Parameters
    ----------
    data : bytes
        The whole file.
    max_pixels : int
        Refuse an image of more pixels than this before they are decoded.
    max_scanned : int
        Refuse a JPEG of more pixels than this times its scans.

    Returns
    -------
    pixels : ndarray of shape (rows, columns) or (rows, columns, 3), uint8
    colour : bool
        Whether the file stores colour.
    note : str
        What a user should know of it; mostly empty.

    Raises
    ------
    ValueError
        If the file holds no image, one that is too large, or one in an encoding that is not supported.
    """
    import pydicom
    from pydicom.pixels import pixel_array

    # What clinical archives write is often not quite to the letter; what cannot be decoded is refused below.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    if DEFLATED in data[:1024]:
        raise ValueError("deflated DICOM; store it uncompressed")
    dataset = pydicom.dcmread(io.BytesIO(data))
    if "PixelData" not in dataset:
        raise ValueError("a DICOM file without an image")
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise ValueError(f"{dataset.Columns} x {dataset.Rows} pixels, more than {max_pixels}")
    scans = dataset.PixelData.count(SCAN) if dataset.file_meta.TransferSyntaxUID in JPEG else 0
    if scans * int(dataset.Rows) * int(dataset.Columns) > max_scanned:
        raise ValueError(f"a JPEG of {scans} scans, a decompression bomb")
    stored = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        if stored.dtype != np.uint8 or stored.ndim != 3:
            raise ValueError(f"DICOM colours of kind {dataset.PhotometricInterpretation}")
        return stored, True, ""
    if stored.ndim != 2:
        raise ValueError(f"DICOM grey values of shape {stored.shape}")
    note = "" if _has_usable_window(dataset) else NO_WINDOW
    if note:
        for keyword in WINDOW:
            dataset.pop(keyword, None)
    shown = np.empty(stored.shape, np.uint8)
    limits = _range(dataset)
    # Some rows at a time: in double precision the whole image would be eight times itself, several times over.
    for start in range(0, len(stored), ROWS):
        # NumPy would warn of values that are refused in a moment.
        with np.errstate(all="ignore"):
            shown[start : start + ROWS] = _display(stored[start : start + ROWS], dataset, *limits)
    return shown, False, note


def _has_usable_window(dataset: Dataset) -> bool:
    """Tell whether a file has no window, or one that shows something (DICOM PS3.3, C.11.2.1.2)."""
    if dataset.get("VOILUTSequence") or not any(keyword in dataset for keyword in WINDOW):
        return True
    try:
        first = [np.atleast_1d(dataset[keyword].value)[0] for keyword in WINDOW[:2]]
        centre, width = (float(value) for value in first)
        function = str(dataset.get("VOILUTFunction") or "LINEAR")
    # What is no number makes pydicom raise nearly anything.
    except Exception:
        return False
    narrowest = 1.0 if function == "LINEAR" else SMALLEST
    return function in FUNCTIONS and abs(centre) < LARGEST and narrowest <= width < LARGEST


def _display(stored: np.ndarray, dataset: Dataset, low: float, high: float) -> np.ndarray:
    """Take stored values through both transformations, to 0…255."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    shown = apply_voi_lut(apply_modality_lut(stored, dataset), dataset, prefer_lut=True).astype(np.float64)
    grey = np.clip((shown - low) / (high - low), 0.0, 1.0)
    if not np.isfinite(grey).all():
        raise ValueError("DICOM values that are not finite")
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 1.0 - grey
    return np.rint(grey * 255.0)


def _range(dataset: Dataset) -> tuple[float, float]:
    """Return the lowest and the highest value that the display transformations can give."""
    for sequence in ("VOILUTSequence", "ModalityLUTSequence"):
        if dataset.get(sequence):
            return 0.0, 2.0 ** dataset[sequence].value[0].LUTDescriptor[2] - 1.0
    bits = int(dataset.BitsStored)
    limits = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1.0) if dataset.PixelRepresentation else (0.0, 2.0**bits - 1.0)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    low, high = sorted(limit * slope + intercept for limit in limits)
    if not -LARGEST < low < high < LARGEST:
        raise ValueError(f"a DICOM rescale slope of {slope:g} and intercept of {intercept:g}")
    return low, high
