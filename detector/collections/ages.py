"""Ages, as collections and DICOM headers write them."""

from __future__ import annotations

import re

OLDEST = 120.0  # years; what is above is a typing error, of which NIH's table has some (414, for one)
YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
ADULT = 18.0  # years


def in_years(text: str) -> str:
    """Return an age in years, as a manifest has it; empty where it is none.

    Parameters
    ----------
    text : str
        Such as ``58``, ``058Y``, ``6M`` (DICOM PS3.5, 6.2: days, weeks, months or years).

    Returns
    -------
    str
    """
    match = re.fullmatch(r"\s*(\d{1,4}(?:\.\d+)?)\s*([YMWDymwd]?)\s*", text, re.ASCII)
    if not match:
        return ""
    years = float(match[1]) * YEARS[match[2].upper() or "Y"]
    return f"{years:.3g}" if years <= OLDEST else ""


def is_adult(years: str) -> bool | None:
    """Tell whether an age in years is an adult's; None where it is not known."""
    try:
        return float(years) >= ADULT
    except ValueError:
        return None
