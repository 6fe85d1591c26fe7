"""Colours of figures, overlays and reports."""

from __future__ import annotations

# Okabe and Ito's colours (2008) differ for people with any common colour blindness; the line styles and the difference
# in brightness carry the same in grey print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"


def rgb(colour: str) -> tuple[int, int, int]:
    """Return a colour such as `BLUE` as red, green and blue, 0…255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
