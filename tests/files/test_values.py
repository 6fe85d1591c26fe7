"""Ages from untrusted tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.files import values


@pytest.mark.parametrize(
    ("text", "years"),
    [("58", "58"), ("058Y", "58"), ("6M", "0.5"), ("014D", "0.0383"), ("414", ""), ("", ""), ("old", ""), ("50+", "")],
)
def test_ages_are_read_in_years(text, years):
    assert values.age_cell(text) == years


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=8) | st.from_regex(r"\d{1,5}[YMWD]?", fullmatch=True))
def test_any_age_is_that_of_a_person_or_unknown(text):
    years = values.age_cell(text)
    assert years == "" or 0 <= float(years) <= values.OLDEST
    assert values.is_adult(years) in (True, False, None)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_the_group_of_a_view_does_not_depend_on_case(text):
    assert values.is_wanted(text, [text.upper()]) or text.strip().casefold() != text.upper().strip().casefold()
    assert values.view_group("AP " + text) == "AP"
    assert values.is_wanted("pa", ["PA"]) and not values.is_wanted("L", ["frontal"])
