"""Views and their groups."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.collections import views as view_words


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_the_group_of_a_view_does_not_depend_on_case(text):
    assert view_words.is_wanted(text, [text.upper()]) or text.strip().casefold() != text.upper().strip().casefold()
    assert view_words.view_group("AP " + text) == "AP"
    assert view_words.is_wanted("pa", ["PA"]) and not view_words.is_wanted("L", ["frontal"])
