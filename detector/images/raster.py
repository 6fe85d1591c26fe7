"""PNG, JPEG, BMP, TIFF and WebP → 8-bit pixels, by Pillow."""

from __future__ import annotations

import ctypes
import io
import logging
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.images import deep_values
from detector.images.deep_values import (
    BITS_PER_SAMPLE,
    FORMATS,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    tiff_tag,
)
from detector.images.grey_range import is_flat, to_8_bits

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Shown = tuple[np.ndarray, bool, str]  # pixels as they are shown, whether the file stores colour, and a note

MOST_FRAMES = 64  # that are looked at for one that shows something
TIFF = (b"II*\0", b"MM\0*")  # first bytes
BETWEEN_NOTES = "; "
IN_ALPHA = "the image is in the alpha channel only"
SCAN = b"\xff\xda"  # a JPEG's marker; nothing else among its pixels has these two bytes


def decode(data: bytes, max_scanned: int) -> tuple[np.ndarray, str, bool, str]:
    """Decode the first page that shows something of a PNG, JPEG, BMP, TIFF or WebP file, upright.

    Parameters
    ----------
    data : bytes
        The whole file.
    max_scanned : int
        Reject a JPEG of more pixels than this times its scans. A progressive one goes over all its pixels with every
        scan, of which a few bytes are enough; usual are about ten.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8
    kind : str
        The file's format.
    colour : bool
        Whether it stores colour.
    note : str
        What a user should know of it; mostly empty.

    Raises
    ------
    InputError
        If the values cannot be scaled, or the scans are too many. A damaged file raises nearly anything else.
    """
    # Pillow finds TIFF and WebP by itself only after a search of all its formats, which takes longer than decoding.
    from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401

    if data.startswith(TIFF):
        deep_values.require_directory(data)
    try:
        file = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        if not data.startswith(TIFF):
            raise
        return _tiff_of_any_type(data)
    with file as opened:
        kind = opened.format
        by_scans = kind in ("JPEG", "MPO") or opened.info.get("compression") == "jpeg"
        if by_scans and data.count(SCAN) * opened.width * opened.height > max_scanned:
            raise InputError(
                f"{data.count(SCAN)} scans of {opened.width} x {opened.height} pixels, a decompression bomb"
            )
        pages = getattr(opened, "n_frames", 1)

        def page_at(position: int) -> Shown:
            if position:
                opened.seek(position)
            return _shown(opened, data)

        (pixels, colour, note), page = first_shown(pages, page_at)
        return pixels, str(kind), colour, joined(note, _which_page(pages, page))


def _tiff_of_any_type(data: bytes) -> tuple[np.ndarray, str, bool, str]:
    """Return what `decode` returns of a TIFF file that Pillow does not know, if its values are stored plainly.

    Raises
    ------
    UnidentifiedImageError
        If they are not.
    """
    from PIL import UnidentifiedImageError

    pages = deep_values.tiff_pages(data)

    def page_at(position: int) -> Shown:
        values = deep_values.tiff_values(data, pages[position])
        if values is None:
            raise UnidentifiedImageError
        pixels, note = to_8_bits(values)
        return pixels, pixels.ndim == 3, note

    if not pages:
        raise UnidentifiedImageError
    (pixels, colour, note), page = first_shown(len(pages), page_at)
    return pixels, "TIFF", colour, joined(note, _which_page(len(pages), page))


def _which_page(pages: int, page: int) -> str:
    return f"{pages} pages, of which page {page + 1} is used" if pages > 1 else ""


def first_shown(count: int, shown_at: Callable[[int], Shown]) -> tuple[Shown, int]:
    """Return the first of several frames or pages that shows something, and which it is; the first where none does.

    Parameters
    ----------
    count : int
        Frames or pages of the file, of which at most `MOST_FRAMES` are looked at.
    shown_at : callable
        From a position to what `Shown` says.

    Returns
    -------
    shown : (pixels, colour, note)
    position : int
    """
    first = shown_at(0)
    if count > 1 and is_flat(first[0]):
        for position in range(1, min(count, MOST_FRAMES)):
            another = shown_at(position)
            if not is_flat(another[0]):
                return another, position
    return first, 0


def joined(*notes: str) -> str:
    """Return notes as one."""
    return BETWEEN_NOTES.join(note for note in notes if note)


def _shown(opened: ImageFile, data: bytes) -> Shown:
    """Return the pixels of the page that is open, upright, whether it stores colour, and a note."""
    from PIL import ImageOps

    if (values := deep_values.colours(opened, data)) is not None:
        if (only := _in_alpha_only(values)) is not None:
            pixels, note = to_8_bits(only)
            return pixels, False, joined(IN_ALPHA, note)
        first = values[..., 0]
        grey = all(np.array_equal(first, values[..., i]) for i in range(1, min(3, values.shape[2])))
        pixels, note = to_8_bits(first if grey or values.shape[2] < 3 else np.ascontiguousarray(values[..., :3]))
        return pixels, pixels.ndim == 3, note
    inverted = tiff_tag(opened, PHOTOMETRIC) == WHITE_IS_ZERO and opened.mode.startswith(("I", "F"))
    stored_as = _other_sign(opened)
    deep_values.unpack_native(opened)
    # In place: a copy of an image that lies right already would be half of the memory.
    ImageOps.exif_transpose(opened, in_place=True)
    if stored_as or opened.mode.startswith(("I", "F")):
        values = np.asarray(opened)
        pixels, note = to_8_bits(values.view(stored_as) if stored_as else values)
        pixels = 255 - pixels if inverted else pixels
        if inverted and values.dtype.kind == "f":
            pixels[np.isnan(values)] = 0
        return pixels, False, note
    if opened.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in opened.info:
        pixels = np.asarray(opened.convert("RGBA"))
        if (only := _in_alpha_only(pixels)) is not None:
            return only, False, IN_ALPHA
    colour = opened.mode not in ("L", "1", "LA")
    wanted = "RGB" if colour else "L"
    pixels = np.asarray(opened if opened.mode == wanted else opened.convert(wanted))
    # A mask of two values is shown as it is.
    pixels, note = (pixels, "") if opened.mode == "1" else to_8_bits(pixels)
    return pixels, colour, note


def _other_sign(opened: ImageFile) -> type | None:
    """Return the type of a TIFF's values where Pillow takes signed ones for unsigned, or the other way; else None."""
    if opened.format != "TIFF":
        return None
    # Of a tag with one value Pillow returns the value or a tuple.
    kind, bits = (tiff_tag(opened, number) for number in (SAMPLE_FORMAT, BITS_PER_SAMPLE))
    if opened.mode == "L" and kind in (SIGNED, (SIGNED,)):
        return np.int8
    is_unsigned = kind in (None, UNSIGNED, (UNSIGNED,))
    return np.uint32 if opened.mode == "I" and is_unsigned and bits in (32, (32,)) else None


def _in_alpha_only(pixels: np.ndarray) -> np.ndarray | None:
    """Return pixels with an alpha channel as a viewer shows them, where their colours are constant; None elsewhere.

    Black of varying opacity is meant for a white page, anything brighter for a black one.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, channels), uint8 or uint16
        Alpha is the last of two or four channels; one and three have none.

    Returns
    -------
    ndarray of shape (height, width), same type, or None
    """
    if pixels.shape[2] in (1, 3):
        return None
    alpha, first = pixels[..., -1], pixels[0, 0, :-1]
    # A row at a time, and most images end at the first: a copy of a whole image would take too much memory.
    if any((row[:, :-1] != first).any() for row in pixels) or alpha.min() == alpha.max():
        return None
    top = float(np.iinfo(pixels.dtype).max)
    grey = float(first.mean())
    behind = top if grey < top / 2 else 0.0
    return np.rint(behind + (grey - behind) * (alpha / np.float32(top))).astype(pixels.dtype)


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
