"""What a file is that is not what was expected: a web page, a Git LFS pointer, a workbook, an archive."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress

# The first bytes of formats of images that are not read.
NOT_READ = {
    b"GIF8": "GIF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"P5": "PGM",
    b"P6": "PPM",
    b"P2": "PGM",
    b"P3": "PPM",
    b"8BPS": "PSD",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"%PDF": "PDF",
    b"II\xbc\x01": "JPEG XR",
    b"NRRD": "NRRD",
    b"ObjectType": "MetaImage",
    b"\x93NUMPY": "NumPy",
    b"\x89HDF": "HDF5",
}
# What the first box of a media container names.
CONTAINED = dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1", b"hevc"), "HEIC") | {b"avif": "AVIF", b"avis": "AVIF"}


# What begins the pixels of a JPEG: usual kinds, and what the others are called.
JPEG, FRAMES = b"\xff\xd8\xff", {0xC3: "lossless JPEG", 0xF7: "JPEG-LS"} | dict.fromkeys((0xC0, 0xC1, 0xC2), "")


def wide_encoding(data: bytes) -> str:
    """Return the encoding of a text of two or four bytes a letter, by its mark or its zeros; empty for any other."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # A table begins with letters, each of which has one zero then.
    zeros = "".join("0" if byte == 0 else "x" for byte in data[:4])
    return {"0x0x": "utf-16-be", "x0x0": "utf-16-le"}.get(zeros, "")


def instead(data: bytes) -> str:
    """Say what the first bytes of a file show it to be, and the remedy; empty where nothing is known of it.

    Parameters
    ----------
    data : bytes
        At least the first 512 bytes, where there are so many.

    Returns
    -------
    str
        A clause for the end of a sentence, such as ``"is a web page; download the file itself"``.
    """
    head = data[:512].removeprefix(b"\xef\xbb\xbf")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) // 4 * 4].decode(wide_encoding(data), "replace").encode()
    head = head.lstrip().lower()
    if (
        head.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<table", b"<?xml", b"<!doctype svg"))
        or b"<html" in head
    ):
        return "is a web page, not the file itself; download the raw file"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; run git lfs pull"
    if b"annex/objects/" in head:
        return "is a git-annex pointer, not the file itself; run git annex get"
    if head.startswith((b"404: not found", b'{"message"', b'{"error"', b"<error>", b"access denied")):
        return "is an error message of a server, not the file itself; download it again"
    if data.startswith(b"%PDF"):
        return "is a PDF document; save what it shows as an image, or its table as CSV"
    if data.startswith(b"PK\x03\x04"):
        return "is a workbook or a ZIP archive; save the table as CSV, or unpack the archive"
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return "is an Excel workbook; save the table as CSV"
    if data.startswith(b"\x1f\x8b"):
        return "is compressed with gzip; unpack it"
    return ""


def is_in_conflict(text: str) -> bool:
    """Return whether a text has the marks between which Git writes the two versions of a merge conflict."""
    return bool(re.search(r"^<{7} ", text, re.MULTILINE) and re.search(r"^>{7} ", text, re.MULTILINE))


def not_read(data: bytes) -> str:
    """Return the format of an image file that is not read, by its first bytes; empty where these are of no format."""
    if data.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            data = zlib.decompressobj(31).decompress(data, 352)
    if data[4:8] == b"ftyp":  # the size of a box stands before its name
        return CONTAINED.get(data[8:12], "")
    if data[344:348] in (b"n+1\0", b"ni1\0"):  # at the end of its header
        return "NIfTI"
    if data.startswith(JPEG):
        return _unusual_jpeg(data)
    return next((kind for mark, kind in NOT_READ.items() if data.startswith(mark)), "")


def _unusual_jpeg(data: bytes) -> str:
    """Return what kind of JPEG it is that is not read; empty for the usual ones."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        kind, precision = data[at + 1], data[at + 4]
        if kind in FRAMES:
            return FRAMES[kind] or (f"JPEG of {precision} bits" if precision > 8 else "")
        at += 1 if kind == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return ""
