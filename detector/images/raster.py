"""PNG, JPEG, BMP, TIFF and WebP → 8-bit pixels: Pillow decodes them, OpenCV those of TIFF and 16-bit colours."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np

# Pillow would look for WebP after all its other formats.
from PIL import Image, ImageOps, UnidentifiedImageError, WebPImagePlugin  # noqa: F401
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from detector import InputError
from detector.files.recognise import instead
from detector.images.dicom_header import NO_HEADER, DicomHeader
from detector.images.grey_range import is_flat, to_8_bits

# Twice any detector's radiograph (about 3,000 × 4,300), and below 1 GB in any mode while it is decoded.
MAX_PIXELS = 30_000_000
MAX_BYTES = 128 * 2**20  # of a file
MOST_FRAMES = 64  # that are looked at for one that shows something
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes
# Tags of TIFF, revision 6.0.
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS = 256, 257, 258, 259, 262, 273
STRIP_BYTES, PLANES, SAMPLE_FORMAT = 279, 284, 339
WHITE_IS_ZERO, SEPARATE, UNSIGNED, PLAIN = 0, 2, 1, 1  # of PHOTOMETRIC, PLANES, SAMPLE_FORMAT and COMPRESSION
UNSIGNED_32 = (32,), (UNSIGNED,), PLAIN
BETWEEN_NOTES = "; "
SILENT = logging.NullHandler()
# Pillow rejects twice as much; pydicom, too, decodes with it.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2


class Decoded(NamedTuple):
    """An image file's pixels at full size, upright, in 8 bits, and what else `read.Radiograph` has of it."""

    pixels: np.ndarray
    colour: bool
    note: str = ""
    format: str = ""
    header: DicomHeader = NO_HEADER


def decode(data: bytes) -> Decoded:
    """Decode the first page that shows something of a PNG, JPEG, BMP, TIFF or WebP file.

    Its pixels are (height, width) or (height, width, 3), uint8. Nearly any exception is raised where it is damaged.
    """
    if data.startswith(TIFF):
        pages = _tiff_pages(data)
        shown = first_shown(len(pages), lambda page: _tiff_page(data, pages[page], page), "page")
        return shown._replace(format="TIFF")
    try:
        file = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        what = instead(data)
        said = f"it {what}" if what else "not a readable image"
        raise InputError(f"{said} (supported: DICOM, {', '.join(FORMATS)})") from None
    with file as opened:
        require_pixels(opened.width, opened.height)
        shown = first_shown(getattr(opened, "n_frames", 1), lambda page: _page(opened, data, page), "page")
        return shown._replace(format=str(opened.format))


def require_pixels(width: int, height: int) -> None:
    """Reject an image with more pixels than any radiograph has, before they are decoded."""
    if width * height > MAX_PIXELS:
        raise InputError(f"{width} x {height} pixels, more than {MAX_PIXELS}")


def first_shown(count: int, shown_at: Callable[[int], Decoded], name: str) -> Decoded:
    """Return the first of several frames or pages that shows something, with a note; the first where none does."""
    first = shown_at(0)
    if count == 1:
        return first
    others = ((at + 1, shown_at(at)) for at in range(1, min(count, MOST_FRAMES)))
    showing = ((at, one) for at, one in chain([(1, first)], others) if not is_flat(one.pixels))
    position, shown = next(showing, (1, first))
    return shown._replace(note=joined(shown.note, f"{count} {name}s, of which {name} {position} is used"))


def joined(*notes: str) -> str:
    """Return notes as one."""
    return BETWEEN_NOTES.join(note for note in notes if note)


def _page(opened: Image.Image, data: bytes, page: int) -> Decoded:
    opened.seek(page)
    opened.load()  # says so where the file is damaged; OpenCV would return half of the image
    if opened.format == "PNG" and data[24] == 16 and opened.mode != "I;16":
        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        return _colours(np.asarray(deep))
    # In place: a copy of an image that lies right already would be half of the memory.
    ImageOps.exif_transpose(opened, in_place=True)
    colour = opened.mode not in ("L", "1", "LA", "I;16")
    wanted = "RGB" if colour else "L" if opened.mode != "I;16" else "I;16"
    pixels, note = to_8_bits(np.asarray(opened if opened.mode == wanted else opened.convert(wanted)))
    return Decoded(pixels, colour, note)


def _colours(values: np.ndarray) -> Decoded:
    """Return colours, blue first; equal ones of more than 8 bits are a grey image."""
    grey = values.dtype.itemsize > 1 and all(np.array_equal(values[..., 0], values[..., i]) for i in (1, 2))
    pixels, note = to_8_bits(values[..., 0] if grey else np.ascontiguousarray(values[..., 2::-1]))
    return Decoded(pixels, not grey, note)


def _tiff_pages(data: bytes) -> list[ImageFileDirectory_v2]:
    """Return the tags of each page of a TIFF file."""
    head, file = data[: 8 if 42 in data[2:4] else 16], io.BytesIO(data)
    pages = [ImageFileDirectory_v2(head)]
    while pages[-1].next and len(pages) <= MOST_FRAMES:
        file.seek(pages[-1].next)
        pages.append(ImageFileDirectory_v2(head))
        pages[-1].load(file)
        # Pillow leaves what it cannot read whole; without its last tags values are taken for others.
        if pages[-1].next == pages[0].next:
            raise InputError("truncated: the description of its pixels is cut off")
    return pages[1:]


def _unsigned_32(data: bytes, tags: ImageFileDirectory_v2) -> np.ndarray:
    """Return values of a type that OpenCV does not know, where they are stored plainly."""
    strips = [data[start : start + count] for start, count in zip(tags[STRIPS], tags[STRIP_BYTES], strict=True)]
    values = np.frombuffer(b"".join(strips), "<u4" if data.startswith(b"II") else ">u4")
    return values.reshape(tags[HEIGHT], tags[WIDTH]).astype(np.uint32)


def _tiff_page(data: bytes, tags: ImageFileDirectory_v2, page: int) -> Decoded:
    require_pixels(tags.get(WIDTH, 0), tags.get(HEIGHT, 0))
    if (tags.get(BITS), tags.get(SAMPLE_FORMAT, (UNSIGNED,)), tags.get(COMPRESSION, PLAIN)) == UNSIGNED_32:
        values = _unsigned_32(data, tags)
    else:
        read, found = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(page, page + 1))
        if not read or not found:
            raise InputError("a TIFF that is damaged, or of a type that is not read; store it as 16-bit grey")
        values = found[0]
    if values.ndim == 3:
        if tags.get(PLANES) == SEPARATE and values.dtype.itemsize > 1:  # OpenCV takes them for others
            raise InputError("a TIFF of one colour behind the other; store it as 16-bit grey or 8-bit colour")
        return _colours(values)
    pixels, note = to_8_bits(values)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and values.dtype.itemsize > 1:  # OpenCV inverts 8 bits
        pixels = np.where(np.isnan(values), 0, 255 - pixels).astype(np.uint8)
    return Decoded(pixels, False, note)


@contextmanager
def rejecting(name: object) -> Iterator[None]:
    """Turn whatever the decoders raise on a damaged file into one line that begins with its name.

    The only place that tolerates. The decoders are kept from writing to stderr: what matters is raised, the rest is
    metadata that nothing here uses.
    """
    for library in ("PIL", "pydicom"):
        warnings.filterwarnings("ignore", module=library)
        # Without a handler of its own, a library's log ends on stderr.
        logging.getLogger(library).addHandler(SILENT)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise InputError(f"{name}: more than {MAX_PIXELS} pixels") from None
    # SyntaxError, struct.error, zlib.error, KeyError, …
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: damaged or not supported ({reason[:200]})") from None
