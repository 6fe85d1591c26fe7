"""PNG and TIFF of 16-bit colours, of which Pillow by itself keeps the high byte of each value only."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
BITS_PER_SAMPLE, PLANES = 258, 284  # TIFF tags
SEPARATE = 2  # of PLANES: one colour after the other
OTHER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # byte orders in Pillow's raw modes


def values(opened: ImageFile, data: bytes) -> np.ndarray | None:
    """Return the 16-bit colours of the page that is open, upright; None for a page of other pixels.

    The pixels are decoded twice: as they are stored, which gives the high byte of each value, and as if the bytes of
    each value lay in the other order, which gives the low ones.

    Parameters
    ----------
    opened : ImageFile
    data : bytes
        The whole file.

    Returns
    -------
    ndarray of shape (height, width, channels), uint16, or None
        Channels are grey and alpha, or red, green, blue and perhaps alpha.

    Raises
    ------
    InputError
        If the colours are stored in a way that does not allow this. A damaged file raises nearly anything else.
    """
    raw = _raw_mode(opened.tile[0].args) if opened.tile else ""
    bits = tiff_tag(opened, BITS_PER_SAMPLE)
    if ";16" not in raw.removeprefix("I") and not (isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8):
        return None
    page = opened.tell()
    if raw == "LA;16B":  # of a PNG: four bytes for grey and alpha, taken as they are
        four = _decoded(data, page, "RGBA").astype(np.uint16)
        return four[..., ::2] << 8 | four[..., 1::2]
    match = re.fullmatch(r"(RGB|RGBA|RGBX);16([BLN])", raw)
    if not match or tiff_tag(opened, PLANES) == SEPARATE:
        raise InputError("16-bit colours of a kind that is not read; store it as 16-bit grey or 8-bit colour")
    high, low = (_decoded(data, page, f"{match[1]};16{order}") for order in (match[2], OTHER[match[2]]))
    found = high.astype(np.uint16) << 8 | low
    return found[..., :3] if match[1] == "RGBX" else found


def tiff_tag(opened: ImageFile, number: int) -> object:
    """Return a tag's value as Pillow reads it; None in other formats, and where the file has no such tag."""
    from PIL.TiffImagePlugin import TiffImageFile

    return opened.tag_v2.get(number) if isinstance(opened, TiffImageFile) else None


def _raw_mode(arguments: object) -> str:
    """Return how Pillow will unpack a tile's pixels, such as ``"RGB;16B"``."""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _decoded(data: bytes, page: int, raw: str) -> np.ndarray:
    """Return a page's pixels, upright, with the byte of each value that a raw mode of Pillow picks, uint8."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        if page:
            opened.seek(page)
        opened.tile = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in opened.tile
        ]
        ImageOps.exif_transpose(opened, in_place=True)
        return np.asarray(opened)
