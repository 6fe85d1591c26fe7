"""Boxes as collections list them and as manifests have them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.collections import boxes


def test_boxes_beyond_the_image():
    inside = boxes.in_fractions([boxes.Box(-50, 0, 100, 50), boxes.Box(300, 0, 10, 10)], 100, 100)
    assert inside == (boxes.Box(0.0, 0.0, 0.5, 0.5),)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(0.5, 150)] * 2), max_size=4))
def test_boxes_are_read_as_they_were_listed_and_lie_within_the_image(drawn):
    keys = boxes.KEYS
    listed = str([dict(zip(keys, box, strict=True)) for box in drawn])
    found = boxes.parse_listed(listed)
    assert [(one.x, one.y, one.width, one.height) for one in found] == drawn
    inside = boxes.in_fractions(found, 100, 100)
    wide = [one for one in inside if min(one.width, one.height) > 1e-4]
    again = boxes.from_cell(boxes.as_cell(wide))
    assert len(again) == len(wide)
    for one, other in zip(again, wide, strict=True):
        assert abs(one.x - other.x) < 1e-5 and abs(one.height - other.height) < 1e-5


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_as_boxes_or_rejected(text):
    for read in (boxes.parse_listed, boxes.from_cell):
        try:
            assert all(one.width > 0 for one in read(text))
        except ValueError as error:
            assert str(error)
