"""Views and their groups."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.files import values


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_the_group_of_a_view_does_not_depend_on_case(text):
    assert values.is_wanted(text, [text.upper()]) or text.strip().casefold() != text.upper().strip().casefold()
    assert values.view_group("AP " + text) == "AP"
    assert values.is_wanted("pa", ["PA"]) and not values.is_wanted("L", ["frontal"])
