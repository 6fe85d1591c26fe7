"""What cells mean, in tables and DICOM headers alike: numbers, ages, persons and views; one parser of each."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

OLDEST = 120.0  # years; what is above is a typing error, of which NIH's table has some (414, for one)
ADULT = 18.0  # years
UNITS = {
    **dict.fromkeys(("", "y", "yr", "yrs", "yo", "year", "years"), 1.0),
    **dict.fromkeys(("m", "mo", "mos", "month", "months"), 1 / 12),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7 / 365.25),
    **dict.fromkeys(("d", "day", "days"), 1 / 365.25),
}
AGE = re.compile(
    r"\s*(?:[<>]=?|[≤≥])?\s*(\d{1,4}(?:[.,]\d+)?)\s*\+?\s*([a-z]*)\.?(?:\s+old)?\s*", re.IGNORECASE | re.ASCII
)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)

FRONTAL = "frontal"  # PA and AP
# Of words in small letters, without accents, one space between two. Recumbent patients are exposed from the front.
VIEWS = {
    "PA": re.compile(r"\b(?:p ?a|poster(?:o|ior|ieur)\w* ?anteri\w*)\b"),
    "AP": re.compile(r"\b(?:a ?ps?|anter(?:o|ior|ieur)\w* ?posteri\w*)\b"),
    "lateral": re.compile(r"^l$|\b(?:ll|rl|lat|later\w*|profile?|perfil|seitlich\w*|seitaufnahme)\b"),
}
RECUMBENT = re.compile(r"\b(?:horizontal\w*|supin[eo]\w*|portable|bedside|semi ?erect|semi ?upright|liegend\w*)\b")
DECUBITUS = "decubitus"  # a patient who lies on a side is seen from the front


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
    """Return an age in years, from 0 to 120, or None where it is none.

    Such as ``58``, ``058Y``, ``6M`` (DICOM PS3.5, 6.2), ``6 months``; ``> 89`` and ``90+`` are the number that they
    name. ``000Y`` stands in headers of patients whose age is not known.
    """
    match = AGE.fullmatch(text)
    unit = match[2].lower() if match else ""
    if not match or unit not in UNITS:
        return None
    found = float(match[1].replace(",", ".")) * UNITS[unit]
    return found if found <= OLDEST and (found or not unit.startswith("y")) else None


def age_cell(text: str) -> str:
    """Return an age in years, as a manifest has it; empty where it is none."""
    found = years(text)
    return "" if found is None else f"{found:.3g}"


def is_adult(text: str) -> bool | None:
    """Return whether an age is an adult's (18 years and over); None where it is not known."""
    found = years(text)
    return None if found is None else found >= ADULT


def person(text: str) -> str:
    """Return a patient's identifier as the same text wherever it stands: ``00000007``, ``7.0`` and ``7`` are one."""
    match = re.fullmatch(r"0*(\d+)(?:\.0)?", text.strip(), re.ASCII)
    return match[1] if match else text.strip()


def view_group(text: str) -> str:
    """Return the projection that a word for a view means: ``PA``, ``AP`` or ``lateral``; any other word as it is.

    Such as ``PA``, ``AP Supine``, ``postero-anterior``, ``AP_horizontal``, ``portable``, ``L``. Words that name two
    projections name none.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    words = " ".join(re.findall(r"[^\W\d_]+", plain))
    named = [group for group, pattern in VIEWS.items() if pattern.search(words)]
    if DECUBITUS in words and "lateral" in named:
        named.remove("lateral")
    if not named and RECUMBENT.search(words):
        return "AP"
    return named[0] if len(named) == 1 else text.strip()


def is_wanted(view: str, wanted: Iterable[str]) -> bool:
    """Return whether a view is asked for: by its own words, by its group, or as a frontal one; without case."""
    group = view_group(view).casefold()
    asked = {text.strip().casefold() for text in wanted}
    return not asked.isdisjoint({group, view.strip().casefold()}) or (FRONTAL in asked and group in ("pa", "ap"))
