"""How an interval is written: with a hyphen on the terminal and in JSON, with an en dash in reports and figures."""

from __future__ import annotations

import re

# Two numbers with decimals; not a part of a file's name or of a longer number.
RANGE = re.compile(r"(?<![\w./-])(\d+\.\d+)-(\d+\.\d+)(?![\w/-]|\.\w)")


def en_dash(text: str) -> str:
    """Return text in which an interval such as ``"0.91-1.00"`` has an en dash."""
    return RANGE.sub("\\1\N{EN DASH}\\2", text)
