"""Cells that no spreadsheet program takes for a formula.

Reference: OWASP, "CSV injection".
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def escaped(text: str) -> str:
    """Return a cell with an apostrophe before what would be a formula; a number with a sign is none."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescaped(text: str) -> str:
    """Return what `escaped` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
