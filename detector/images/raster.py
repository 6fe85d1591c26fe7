"""Pictures in the formats of the web and of print → 8-bit pixels, by Pillow."""

from __future__ import annotations

import ctypes
import io
import logging
import math
import warnings
from contextlib import suppress
from functools import lru_cache

import numpy as np

from detector import InputError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
SCAN = b"\xff\xda"  # a JPEG's marker; nothing else among its pixels has these two bytes


def decode(data: bytes, max_scanned: int) -> tuple[np.ndarray, str, bool]:
    """Decode the first border of a PNG, JPEG, BMP, TIFF or WebP file, upright.

    Parameters
    ----------
    data : bytes
        The whole file.
    max_scanned : int
        Refuse a JPEG of more pixels than this times its scans. A progressive one goes over all its pixels with every
        scan, of which a few bytes are enough; usual are about ten.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8
    kind : str
        The file's format.
    colour : bool
        Whether it stores colour.

    Raises
    ------
    InputError
        If the values cannot be scaled, or the scans are too many. A damaged file raises nearly anything else.
    """
    from PIL import Image, ImageOps

    Image.init()  # knows all of FORMATS, and costs nothing the second time
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        kind = opened.format
        by_scans = kind in ("JPEG", "MPO") or opened.info.get("compression") == "jpeg"
        if by_scans and data.count(SCAN) * opened.width * opened.height > max_scanned:
            raise InputError(
                f"{data.count(SCAN)} scans of {opened.width} x {opened.height} pixels, a decompression bomb"
            )
        # In place: a copy of an image that lies right already would be half of the memory.
        ImageOps.exif_transpose(opened, in_place=True)
        if opened.mode.startswith(("I", "F")):
            return _to_8_bits(np.asarray(opened)), kind, False
        colour = opened.mode not in ("L", "1", "LA")
        wanted = "RGB" if colour else "L"
        return np.asarray(opened if opened.mode == wanted else opened.convert(wanted)), kind, colour


def quieten() -> None:
    """Keep the decoders from writing to stderr: what matters is raised, the rest is metadata that nothing here uses."""
    for name in ("PIL", "pydicom"):
        warnings.filterwarnings("ignore", module=name)
        # Without a handler of its own, a library's log ends on stderr.
        log = logging.getLogger(name)
        log.handlers = log.handlers or [logging.NullHandler()]
    _quieten_libtiff()


@lru_cache(maxsize=1)
def _quieten_libtiff() -> None:
    """Keep libtiff from writing to stderr by itself; Pillow has no setting for that."""
    from PIL import _imaging

    # Where libtiff is built into Pillow, as on Windows, it has no handlers that could be reached.
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale grey values of more than 8 bits: by the full range of 16 bits, or of 12 where nothing exceeds them.

    Radiographs are mostly digitised in 12 bits and stored in 16; scaled by the range of 16 they would be nearly black.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("pixel values that are not finite")
    if low < 0 or high > 65535:
        raise InputError(f"pixel values from {low:g} to {high:g}, outside of 0 to 65535")
    full = 4095.0 if high <= 4095 else 65535.0
    scaled = np.empty(values.shape, np.uint8)
    # A row at a time: in double precision the whole image would be eight times itself.
    for row, into in zip(values, scaled, strict=True):
        into[:] = np.rint(row * (255.0 / full))
    return scaled
