"""Ages, numbers and views, as tables and DICOM headers write them: one parser of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

OLDEST = 120.0  # years; what is above is a typing error, of which NIH's table has some (414, for one)
YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
ADULT = 18.0  # years
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)


def number(value: str) -> float | None:
    """Return a cell as a finite number, or None where it is none.

    A comma is read as a decimal one, as spreadsheet programs of many countries write it, unless it may separate
    thousands (``1,000``).
    """
    text = value.strip()
    if DECIMAL_COMMA.fullmatch(text) and not THOUSANDS.fullmatch(text):
        text = text.replace(",", ".")
    # Python reads 1_000 and digits of other scripts, too, which no table means.
    if not text.isascii() or "_" in text:
        return None
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def years(text: str) -> float | None:
    """Return an age in years, or None where it is none.

    Parameters
    ----------
    text : str
        Such as ``58``, ``058Y``, ``6M`` (DICOM PS3.5, 6.2: days, weeks, months or years).

    Returns
    -------
    float or None
        From 0 to 120.
    """
    match = re.fullmatch(r"\s*(\d{1,4}(?:[.,]\d+)?)\s*([YMWDymwd]?)\s*", text, re.ASCII)
    if not match:
        return None
    found = float(match[1].replace(",", ".")) * YEARS[match[2].upper() or "Y"]
    return found if found <= OLDEST else None


def age_cell(text: str) -> str:
    """Return an age in years, as a manifest has it; empty where it is none."""
    found = years(text)
    return "" if found is None else f"{found:.3g}"


def is_adult(text: str) -> bool | None:
    """Return whether an age is an adult's (18 years and over); None where it is not known."""
    found = years(text)
    return None if found is None else found >= ADULT


KNOWN = {"pa": "PA", "ap": "AP", "aps": "AP"} | dict.fromkeys(("l", "ll", "rl", "lat", "lateral"), "lateral")
SIDES = ("left", "right")
DECUBITUS = "decubitus"  # a patient who lies on a side is seen from the front
FRONTAL = "frontal"  # PA and AP


def view_group(text: str) -> str:
    """Return the projection that a collection's word for a view means.

    Parameters
    ----------
    text : str
        Such as ``PA``, ``pa``, ``AP Supine``, ``AP erect``, ``L``.

    Returns
    -------
    str
        ``"PA"``, ``"AP"`` or ``"lateral"``; any other word as it is.
    """
    words = text.casefold().split()
    if words and words[0] in SIDES and DECUBITUS not in words:
        words = words[1:]
    return KNOWN.get(words[0], text.strip()) if words else ""


def is_wanted(view: str, wanted: Iterable[str]) -> bool:
    """Return whether a view is asked for: by its own words, by its group, or as a frontal one; without case."""
    group = view_group(view).casefold()
    for text in wanted:
        asked = text.strip().casefold()
        if asked == FRONTAL and group in ("pa", "ap"):
            return True
        # "AP" asks for the group, "AP Supine" for that alone.
        if asked == view.strip().casefold() or (asked == group and asked in KNOWN):
            return True
    return False
