"""Values of PNG and TIFF that Pillow by itself reads in part or not at all: 16-bit colours, and types of TIFF."""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.images.read import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# Tags of TIFF, revision 6.0.
WIDTH, HEIGHT, BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION = 256, 257, 258, 259, 262, 273, 274
SAMPLES, STRIP_BYTES, PLANES, PREDICTOR, TILES, SAMPLE_FORMAT = 277, 279, 284, 317, 322, 339
SEPARATE = 2  # of PLANES: one colour after the other
WHITE_IS_ZERO = 0  # of PHOTOMETRIC
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # of SAMPLE_FORMAT
NUMPY = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}
NUMBERS = {1: "B", 3: "H", 4: "I"}  # types of a tag's values, as `struct` has them
DEFLATE = (8, 32946)  # of COMPRESSION
MOST_PAGES, MOST_SAMPLES = 64, 4
MOST_BYTES = 8 * MAX_PIXELS  # of pixel values: one double of each
OTHER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # byte orders in Pillow's raw modes


def colours(opened: ImageFile, data: bytes) -> np.ndarray | None:
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
        Channels are grey, or grey and alpha, or red, green, blue and perhaps alpha.

    Raises
    ------
    InputError
        If the colours are stored in a way that does not allow this. A damaged file raises nearly anything else.
    """
    raw = _raw_mode(opened.tile[0].args) if opened.tile else ""
    bits = tiff_tag(opened, BITS_PER_SAMPLE)
    # BMP packs three colours of 8 bits and less in 16.
    is_deep = (";16" in raw and opened.format != "BMP") or (isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8)
    if not is_deep or opened.mode.startswith(("I", "F", "L")):
        return None
    page = opened.tell()
    if raw == "LA;16B":  # of a PNG: four bytes for grey and alpha, taken as they are
        four = _decoded(data, page, "RGBA").astype(np.uint16)
        return four[..., ::2] << 8 | four[..., 1::2]
    match = re.fullmatch(r"(RGB|RGBA|RGBX);16([BLN])", raw)
    if not match or tiff_tag(opened, PLANES) == SEPARATE:
        plain = tiff_values(data, tiff_pages(data)[page]) if opened.format == "TIFF" else None
        if plain is None:
            raise InputError("16-bit colours of a kind that is not read; store it as 16-bit grey or 8-bit colour")
        return plain if plain.ndim == 3 else plain[..., None]
    high, low = (_decoded(data, page, f"{match[1]};16{order}") for order in (match[2], OTHER[match[2]]))
    found = high.astype(np.uint16) << 8 | low
    return found[..., :3] if match[1] == "RGBX" else found


def tiff_tag(opened: ImageFile, number: int) -> object:
    """Return a tag's value as Pillow reads it; None in other formats, and where the file has no such tag."""
    from PIL.TiffImagePlugin import TiffImageFile

    return opened.tag_v2.get(number) if isinstance(opened, TiffImageFile) else None


def unpack_native(opened: ImageFile) -> None:
    """Have Pillow unpack what libtiff returns, whatever the file's byte order, in that of this machine.

    Of big-endian values it does so by itself for some types only.
    """
    for i, tile in enumerate(opened.tile):
        match = re.fullmatch(r"([IF];\d+)B([SF])", _raw_mode(tile.args))
        if match and tile.codec_name == "libtiff" and isinstance(tile.args, tuple):
            opened.tile[i] = tile._replace(args=(f"{match[1]}N{match[2]}", *tile.args[1:]))


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


def require_directory(data: bytes) -> None:
    """Reject a TIFF file whose first directory is cut off: without its last tags values are taken for others.

    Raises
    ------
    InputError
    """
    order = _byte_order(data)
    at = struct.unpack_from(f"{order}I", data, 4)[0] if len(data) >= 8 else 0
    if at and (at + 2 > len(data) or at + 2 + 12 * struct.unpack_from(f"{order}H", data, at)[0] > len(data)):
        raise InputError("truncated: the description of its pixels is cut off")


def tiff_pages(data: bytes) -> list[dict[int, tuple[int, ...]]]:
    """Return the tags of each page of a TIFF file: their whole numbers, by the tag's number.

    Parameters
    ----------
    data : bytes
        The whole file.
    """
    order = _byte_order(data)
    pages: list[dict[int, tuple[int, ...]]] = []
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    while 0 < at <= len(data) - 2 and len(pages) < MOST_PAGES:
        (count,) = struct.unpack_from(f"{order}H", data, at)
        tags = {}
        for entry in range(at + 2, min(at + 2 + 12 * count, len(data) - 12), 12):
            number, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
            layout = f"{order}{length}{NUMBERS.get(kind, 'B')}"
            size = struct.calcsize(layout) if length <= len(data) else len(data) + 1
            (start,) = (entry + 8,) if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)
            if kind in NUMBERS and start + size <= len(data):
                tags[number] = struct.unpack_from(layout, data, start)
        pages.append(tags)
        at = struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)[0] if at + 6 + 12 * count <= len(data) else 0
    return pages


def tiff_values(data: bytes, tags: Mapping[int, tuple[int, ...]]) -> np.ndarray | None:
    """Return a page's values, upright, white the largest; None for a page that is stored in another way than in strips.

    Parameters
    ----------
    data : bytes
        The whole file.
    tags : mapping of int to tuple of int
        As `tiff_pages` returns them.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), or None
        Integers or floats.

    Raises
    ------
    InputError
        If the page is larger than a radiograph, or the file too short.
    """

    def first(number: int, otherwise: int) -> int:
        return (tags.get(number) or (otherwise,))[0]

    width, height, samples = first(WIDTH, 0), first(HEIGHT, 0), first(SAMPLES, 1)
    bits, kind, packed = set(tags.get(BITS_PER_SAMPLE, (1,))), first(SAMPLE_FORMAT, UNSIGNED), first(COMPRESSION, 1)
    plain = packed in (1, *DEFLATE) and first(PREDICTOR, 1) == 1 and TILES not in tags and first(PHOTOMETRIC, 1) <= 2
    if not plain or len(bits) != 1 or not bits <= {8, 16, 32, 64} or kind not in NUMPY or (kind, *bits) == (FLOAT, 8):
        return None
    if width * height > MAX_PIXELS:
        raise InputError(f"{width * height} pixels, more than {MAX_PIXELS}")
    if not (width and height and 1 <= samples <= MOST_SAMPLES):
        return None
    dtype = np.dtype(f"{_byte_order(data)}{NUMPY[kind]}{bits.pop() // 8}")
    wanted = width * height * samples * dtype.itemsize
    if wanted > MOST_BYTES:
        raise InputError(f"{wanted >> 20} MiB of pixel values, more than {MOST_BYTES >> 20} MiB")
    found = bytearray()
    for start, length in zip(tags.get(STRIPS, ()), tags.get(STRIP_BYTES, ()), strict=False):
        # Strips may overlap in a damaged file: no more is taken than the image has.
        left = wanted - len(found)
        if left <= 0:
            break
        strip = data[start : start + length]
        found += strip[:left] if packed == 1 else zlib.decompressobj().decompress(strip, left)
    if len(found) < wanted:
        raise InputError("truncated: its pixels end before the image does")
    values = np.frombuffer(found, dtype).astype(dtype.newbyteorder("="), copy=False)
    if first(PLANES, 1) == SEPARATE:
        values = np.moveaxis(values.reshape(samples, height, width), 0, -1)
    values = upright(values.reshape(height, width, samples), first(ORIENTATION, 1))
    colours = values[..., : 3 if samples >= 3 else 1]
    if all(np.array_equal(colours[..., 0], colours[..., i]) for i in range(1, colours.shape[2])):
        colours = colours[..., 0]
    return -colours.astype(np.float64) if first(PHOTOMETRIC, 1) == WHITE_IS_ZERO else np.ascontiguousarray(colours)


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image as it is to be seen, given the orientation of TIFF and Exif, 1…8.

    Parameters
    ----------
    values : ndarray of shape (height, width, channels)
    orientation : int
        1 for one that is upright already.
    """
    if orientation in (5, 6, 7, 8):
        values = values.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values[::-1] if orientation in (3, 4, 7, 8) else values


def _byte_order(data: bytes) -> str:
    return ">" if data.startswith(b"MM") else "<"
