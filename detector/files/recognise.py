"""What is read of an untrusted file, and what it is where it is not what was expected: a web page, a workbook, …"""

from __future__ import annotations

import stat
import zlib
from contextlib import suppress
from pathlib import Path

from detector import InputError

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


def bounded_bytes(path: Path, most: int, name: object = None) -> bytes:
    """Return the bytes of a file of at most `most` bytes; `name` is what errors call it."""
    name = name or path
    try:
        status = path.stat()
        regular, size = stat.S_ISREG(status.st_mode), status.st_size
        if regular and 0 < size <= most:
            return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    if not regular:
        raise InputError(f"{name}: {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a regular file'}")
    raise InputError(f"{name}: {f'{size >> 20} MiB, more than {most >> 20}' if size else 'empty'}")


UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # the marks of a text of two bytes a letter
# Beginnings of a text in small letters → what it is.
TEXTS = {
    (b"<!doctype html", b"<html", b"<head", b"<body", b"<table", b"<?xml", b"<!doctype svg"): (
        "is a web page, not the file itself; download the raw file"
    ),
    (b"version https://git-lfs",): "is a Git LFS pointer, not the file itself; run git lfs pull",
    (b"/annex/objects/", b"../.git/annex/objects/"): "is a git-annex pointer, not the file itself; run git annex get",
    (b"404: not found", b'{"message"', b'{"error"', b"<error>", b"access denied"): (
        "is an error message of a server, not the file itself; download it again"
    ),
}
BINARY = {
    b"%PDF": "is a PDF document; save what it shows as an image, or its table as CSV",
    b"PK\x03\x04": "is a workbook or a ZIP archive; save the table as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save the table as CSV",
    b"\x1f\x8b": "is compressed with gzip; unpack it",
}


def instead(data: bytes) -> str:
    """Say what the first 512 bytes of a file show it to be, and the remedy; empty where nothing is known of it.

    Such as ``"is a web page; download the file itself"``, for the end of a sentence.
    """
    text = data[:512].decode("utf-16" if data.startswith(UTF_16) else "latin-1", "replace")
    head = text.encode("ascii", "ignore").lstrip().lower()
    for beginnings, what in TEXTS.items():
        if head.startswith(beginnings) or (b"<html" in beginnings and b"<html" in head):
            return what
    return next((what for mark, what in BINARY.items() if data.startswith(mark)), "")


def not_read(data: bytes) -> str:
    """Return the format of an image file that is not read, by its first bytes; empty where these are of no format."""
    if data.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            data = zlib.decompressobj(31).decompress(data, 352)
    if data[4:8] == b"ftyp":  # the size of a box stands before its name
        return CONTAINED.get(data[8:12], "")
    if data[344:348] in (b"n+1\0", b"ni1\0"):  # at the end of its header
        return "NIfTI"
    return next((kind for mark, kind in NOT_READ.items() if data.startswith(mark)), "")
