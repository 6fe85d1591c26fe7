"""Figures as files: every format, the same bytes each time, and any text."""

from __future__ import annotations

import pytest

from detector.reports import figures


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml"), (".jpg", b"\xff\xd8")]
)
def test_the_suffix_decides_the_format_and_the_bytes_are_the_same_each_time(suffix, start):
    def draw() -> bytes:
        figure = figures.new_figure(2, 2)
        axes = figure.subplots()
        figures.plain_axes(axes)
        axes.plot([0, 1], [1, 0])
        return figures.as_file(figure, suffix)

    data = draw()
    assert data.startswith(start)
    if suffix != ".svg":  # its ids are drawn at random
        assert data == draw()


def test_characters_that_the_font_lacks_are_replaced():
    assert figures.drawable("covid é $x^2$") == "covid é $x^2$"
    assert figures.drawable("a\n\x1b🫁b") == "a\ufffd\ufffd\ufffdb"
