"""Read, check and resize image files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detector import InputError, counted
from detector.files.recognise import bounded_bytes
from detector.images import dicom, raster
from detector.images.dicom_header import NO_HEADER, DicomHeader
from detector.images.grey_range import is_flat
from detector.images.raster import MAX_BYTES, Decoded

SIZE = 224  # what VGG16 was trained on, in pixels
MOST_NAMED = 10  # of the files that cannot be read
# A radiograph has more pixels and another shape: such an image is a thumbnail, a strip or a crop.
FEWEST_PIXELS, LONGEST = 64, 4.0  # of the shorter side; the longer side over the shorter
# Raise when a decoded image changes: cached features of the old one must never be met again.
READER_VERSION = 6


@dataclass(frozen=True)
class Radiograph:
    """One image as the network sees it, and the properties of its file, which may reveal its site."""

    pixels: np.ndarray  # (224, 224, 3), uint8, RGB
    digest: str  # SHA-256 of the file's bytes
    width: int  # of the stored image, upright, in pixels
    height: int
    format: str  # JPEG, PNG, …, DICOM
    colour: bool  # whether the file stores colour; a grey radiograph may be stored so
    note: str = ""  # what a user should know of how it is shown
    header: DicomHeader = NO_HEADER  # empty for any other format


def read(path: Path, size: int = SIZE) -> Radiograph:
    """Read one image file.

    Parameters
    ----------
    path : Path
        PNG, JPEG, BMP, TIFF, WebP or DICOM; any bit depth, grey, palette, RGB(A) or CMYK; the first frame that shows
        something. One that is missing, damaged or larger than a radiograph can be is rejected.
    size : int, default=224
        Side of the square that the image is resized to, in pixels, whatever its aspect ratio.
    """
    return from_bytes(file_bytes(path), path, size)


def from_bytes(data: bytes, name: object, size: int = SIZE) -> Radiograph:
    """Read the bytes of an image file, as `read` does; `name` is what errors call it."""
    return require_contrast(from_decoded(decode(data, name), hashlib.sha256(data).hexdigest(), size), name)


def require_contrast(radiograph: Radiograph, name: object) -> Radiograph:
    """Return a radiograph; reject one whose 1st and 99th percentile are closer than a tenth of the range."""
    if is_flat(radiograph.pixels):
        low, high = np.percentile(radiograph.pixels, [1, 99])
        raise InputError(f"{name}: shows nothing: its grey values lie between {low:.0f} and {high:.0f} of 255")
    return radiograph


def from_decoded(decoded: Decoded, digest: str, size: int = SIZE) -> Radiograph:
    """Return a decoded image as the network sees it; `digest` is the SHA-256 of the file."""
    height, width = decoded.pixels.shape[:2]
    # Averaging keeps what a plain bilinear pick would alias; it does nothing good when enlarging.
    interpolation = cv2.INTER_AREA if min(width, height) >= size else cv2.INTER_LINEAR
    resized = cv2.resize(decoded.pixels, (size, size), interpolation=interpolation)
    if resized.ndim == 2:
        resized = np.repeat(resized[..., None], 3, axis=2)
    _, colour, note, kind, header = decoded
    return Radiograph(
        resized, digest, width, height, kind, colour, raster.joined(note, _unusual(width, height)), header
    )


def _unusual(width: int, height: int) -> str:
    """Return what is unusual about an image's size in pixels; empty for that of a radiograph."""
    shorter, longer = sorted((width, height))
    if shorter < FEWEST_PIXELS:
        return f"only {width} x {height} pixels"
    return f"{width} x {height} pixels, an unusual shape" if longer > LONGEST * shorter else ""


def file_bytes(path: Path) -> bytes:
    """Return the bytes of a file that may be an image."""
    return bounded_bytes(path, MAX_BYTES)


def decode(data: bytes, name: object) -> Decoded:
    """Decode the bytes of an image file at its full size; `name` is what errors call it."""
    with raster.rejecting(name):
        return dicom.decode(dicom.parse(data)) if dicom.is_dicom(data) else raster.decode(data)


def name_all(failures: Sequence[object], total: int, noun: str = "image") -> InputError:
    """Return one error that names the first files that cannot be used, one a line, and counts the others."""
    more = [f"and {len(failures) - MOST_NAMED} more"] if len(failures) > MOST_NAMED else []
    message = f"{len(failures)} of {counted(total, noun)} cannot be used; correct or remove them:"
    return InputError(message, [*map(str, failures[:MOST_NAMED]), *more])
