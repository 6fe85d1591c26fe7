"""What is read of an untrusted file, and what it is where it is not what was expected: a web page, a workbook, …"""

from __future__ import annotations

import stat
from pathlib import Path

from detector import InputError


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
# Beginnings in small letters → what a file is.
INSTEAD = {
    (b"<!doctype", b"<html", b"<head", b"<body", b"<table", b"<?xml"): (
        "is a web page, not the file itself; download the raw file"
    ),
    (b"version https://git-lfs",): "is a Git LFS pointer, not the file itself; run git lfs pull",
    (b"/annex/objects/", b"../.git/annex/objects/"): "is a git-annex pointer, not the file itself; run git annex get",
    (b"404: not found", b'{"message"', b'{"error"', b"<error>", b"access denied"): (
        "is an error message of a server, not the file itself; download it again"
    ),
    (b"%pdf",): "is a PDF document; save what it shows as an image, or its table as CSV",
    (b"pk\x03\x04",): "is a workbook or a ZIP archive; save the table as CSV, or unpack the archive",
    (b"\xd0\xcf\x11\xe0",): "is an Excel workbook; save the table as CSV",
    (b"\x1f\x8b",): "is compressed with gzip; unpack it",
}


def instead(data: bytes) -> str:
    """Say what the first 512 bytes of a file show it to be, and the remedy; empty where nothing is known of it.

    Such as ``"is a web page; download the file itself"``, for the end of a sentence.
    """
    head = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((what for beginnings, what in INSTEAD.items() if head.startswith(beginnings)), "")
