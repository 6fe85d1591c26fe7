"""Boxes as collections list them and as manifests have them."""

from __future__ import annotations

import pytest
from conftest import rejection
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.collections import boxes


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(0.5, 150)] * 2), max_size=4))
def test_boxes_are_read_as_they_were_listed_and_lie_within_the_image(drawn):
    listed = str([dict(zip(boxes.KEYS, box, strict=True)) for box in drawn])
    found = boxes.parse_listed(listed, "here")
    assert list(found) == drawn
    inside = boxes.in_fractions(found, 100, 100)
    wide = [one for one in inside if min(one.width, one.height) > 1e-4]
    again = boxes.from_cell(boxes.as_cell(wide), "here")
    assert [pytest.approx(one, abs=1e-5) for one in wide] == list(again)


def test_boxes_beyond_the_image():
    inside = boxes.in_fractions([boxes.Box(-50, 0, 100, 50), boxes.Box(300, 0, 10, 10)], 100, 100)
    assert inside == [boxes.Box(0.0, 0.0, 0.5, 0.5)]
    with rejection("here has a box that does not lie within the image"):
        boxes.from_cell("0.5 0.5 0.6 0.1", "here")


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60) | st.sampled_from(["1", "[1]", '"a"', "{'x': 1}", "1 2 3", "1 2 0 4", "1 a 2 2", "[" * 9999])
)
def test_any_text_is_read_as_boxes_or_rejected(text):
    for read in (boxes.parse_listed, boxes.from_cell):
        try:
            assert all(one.width > 0 for one in read(text, "line 2"))
        except InputError as error:
            assert str(error).startswith("line 2 ")
