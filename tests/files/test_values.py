"""Ages, persons and views from untrusted cells."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.files import values


@pytest.mark.parametrize(
    ("text", "years"),
    [
        *(("58", "58"), ("058Y", "58"), ("6M", "0.5"), ("014D", "0.0383"), ("10 days", "0.0274"), ("6 months", "0.5")),
        *(("> 89", "89"), (">89Y", "89"), ("90+", "90"), ("58,5", "58.5"), ("0", "0"), ("58 years old", "58")),
        *(("414", ""), ("999", ""), ("-1", ""), ("", ""), ("old", ""), ("000Y", ""), ("60-70", ""), ("5 cm", "")),
    ],
)
def test_ages_are_read_in_years(text, years):
    assert values.age_cell(text) == years


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=8) | st.from_regex(r"\d{1,5}[YMWD]?", fullmatch=True))
def test_any_age_is_that_of_a_person_or_unknown(text):
    years = values.age_cell(text)
    assert years == "" or 0 <= float(years) <= values.OLDEST
    assert values.is_adult(years) in (True, False, None)


@pytest.mark.parametrize(
    ("text", "number"), [("1,5", 1.5), ("1,000", None), ("-2", -2.0), ("1_0", None), ("inf", None)]
)
def test_numbers_have_decimal_points_or_commas(text, number):
    assert values.number(text) == number


def test_an_identifier_is_the_same_with_zeros_before_it():
    assert {values.person(text) for text in ("7", "00000007", " 7 ", "7.0")} == {"7"}
    assert [values.person(text) for text in ("p07", "0", "1.2.840", "70")] == ["p07", "0", "1.2.840", "70"]


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (
            "PA",
            ("pa", "PA erect", "postero-anterior", "póstero-anterior", "p.a.", "W033 CHEST PA"),
        ),
        ("AP", ("AP Supine", "antero-posterior", "AP_horizontal", "supine", "PORTABLE", "Semi-erect", "APs", "a.-p.")),
        ("lateral", ("L", "LL", "left lateral", "Lat", "latero-lateral", "perfil", "seitlich", "LATERAL horizontal")),
    ],
)
def test_words_for_views_mean_a_projection(group, words):
    assert {text: values.view_group(text) for text in words} == dict.fromkeys(words, group)


@pytest.mark.parametrize("text", ["left lateral decubitus", "PA and lateral", "frontal", "Axial", "bilateral", ""])
def test_other_words_stay_as_they_are(text):
    assert values.view_group(f" {text}") == text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_the_group_of_a_view_does_not_depend_on_case(text):
    assert values.is_wanted(text, [text.upper()]) or text.strip().casefold() != text.upper().strip().casefold()
    assert values.is_wanted("AP Supine", ["ap"]) and values.is_wanted("pa", ["frontal"])
    assert not values.is_wanted("L", ["frontal"]) and not values.is_wanted("AP", ["AP Supine"])
