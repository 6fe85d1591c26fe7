"""Cells that no spreadsheet program takes for a formula, and cells that one has made of another value.

Reference: OWASP, "CSV injection".
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

# Such as #N/A, #REF!, #DIV/0!, #NAME?, in other languages #NV, #BEZUG!, #¿NOMBRE?; Err:502; ### of a narrow column.
_ERROR = re.compile(r"#[¡¿]?[^\W\d_]+(?:/0)?[!?]|#N/[AD]|#NV|#{3,}|Err:\d{3}", re.IGNORECASE)
# As a cell of the format "general" shows a number of more digits than fit: 1.2E+05, with a decimal comma 1,2E+05.
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,3}", re.ASCII | re.IGNORECASE)


def escaped(text: str) -> str:
    """Return a cell with an apostrophe before what would be a formula; a number with a sign is none."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescaped(text: str) -> str:
    """Return what `escaped` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def is_error(text: str) -> bool:
    """Return whether a cell is an error of a formula, such as ``#N/A`` or ``#REF!``."""
    return bool(_ERROR.fullmatch(text.strip()))


def is_shortened(text: str) -> bool:
    """Return whether a cell is a number of which a spreadsheet program kept the first digits, such as ``1.2E+05``."""
    return bool(_SHORTENED.fullmatch(text.strip()))
