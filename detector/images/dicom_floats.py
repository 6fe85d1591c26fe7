"""DICOM images of floats (DICOM PS3.3, C.7.6.24 and C.7.6.25), as processed radiographs may be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.images.grey_range import without_nan

if TYPE_CHECKING:
    from pydicom import Dataset

BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}  # of each value, by the attribute that holds them
PADDING = ("FloatPixelPaddingValue", "DoubleFloatPixelPaddingValue")
LIMIT = ("FloatPixelPaddingRangeLimit", "DoubleFloatPixelPaddingRangeLimit")


def float_bits(dataset: Dataset) -> int:
    """Return the bits of each value of an image of floats; 0 for any other."""
    return next((bits for keyword, bits in BITS.items() if keyword in dataset and "PixelData" not in dataset), 0)


def complete(dataset: Dataset) -> str:
    """Fill in what a header lacks of how floats are stored, which are grey always; return a note, mostly empty."""
    read: dict[str, int | str] = {"SamplesPerPixel": 1, "BitsAllocated": float_bits(dataset)}
    if dataset.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        read["PhotometricInterpretation"] = "MONOCHROME2"
    changed = [f"{name} {value}" for name, value in read.items() if dataset.get(name) != value]
    for name, value in read.items():
        setattr(dataset, name, value)
    return f"its header lacks or contradicts, and is read as, {', '.join(changed)}" if changed else ""


def without_padding(values: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Return values of which those of padding are a value of the image, and where they are.

    Parameters
    ----------
    values : ndarray of shape (rows, columns), float
    dataset : Dataset
        Its padding value, or range of values, counts beside NaN.

    Returns
    -------
    values : ndarray of shape (rows, columns), float
    padding : ndarray of shape (rows, columns), bool, or None

    Raises
    ------
    InputError
        If too little of the image is left.
    """
    value, limit = (next((dataset.get(name) for name in names if name in dataset), None) for names in (PADDING, LIMIT))
    if isinstance(value, float):
        low, high = sorted((value, limit if isinstance(limit, float) else value))
        values = np.where((values >= low) & (values <= high), np.nan, values)
    return without_nan(values)
