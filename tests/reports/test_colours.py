"""Colours of figures."""

from __future__ import annotations

from detector.reports import colours


def test_a_colour_is_read_as_red_green_and_blue():
    assert colours.rgb("#0102FF") == (1, 2, 255)
    assert colours.rgb(colours.ORANGE) == (213, 94, 0)


def test_colours_differ_in_grey_print():
    grey = [
        sum(weight * value for weight, value in zip((0.3, 0.59, 0.11), colours.rgb(one), strict=True))
        for one in (colours.BLUE, colours.ORANGE)
    ]
    assert abs(grey[0] - grey[1]) > 25
