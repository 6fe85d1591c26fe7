"""Projections, whatever words collections have for them."""

from __future__ import annotations

from collections.abc import Iterable

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
