"""A metric is a finite number with an interval, or the reason why there is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.statistics.metric import Metric, too_few


@pytest.mark.parametrize(
    "fields",
    [
        (float("nan"), 0.1, 0.9),
        (0.5, float("-inf"), 0.9),
        (0.5, 0.1, float("inf")),
        (0.5, 0.5, 0.5),
        (None, None, None),
    ],
)
def test_what_no_output_may_show_cannot_be_made(fields):
    with pytest.raises(ValueError):
        Metric(*fields, 20, 20)


def test_a_value_and_a_reason_exclude_each_other():
    with pytest.raises(ValueError, match="or a reason"):
        Metric(0.5, 0.1, 0.9, 20, 20, reason="none")


def test_json_has_the_documented_keys():
    assert Metric(0.5, 0.25, 0.75, 20, 30).as_json() == {
        "value": 0.5,
        "ci_low": 0.25,
        "ci_high": 0.75,
        "n_positive": 20,
        "n_negative": 30,
        "n_patients": 0,
    }
    reason = "1 v 30 images; at least 10 v 10 needed"
    assert too_few(1, 30, "images").as_json() == {"value": None, "reason": reason}
    assert not too_few(1, 30).available


def test_what_rounds_to_nothing_has_no_sign():
    assert Metric(-0.001, -0.004, 0.1, 20, 20).short == "0.00 (0.00 to 0.10)"


def test_bounds_may_be_missing_on_one_side():
    assert Metric(14.9, 9.4, None, 20, 20).short == "14.9 (above 9.40)"
    assert Metric(-3.0, None, 1.0, 20, 20).interval_text == "below 1.00"


@given(st.floats(0.0, 1.0), st.floats(1e-8, 1.0))
def test_a_narrow_interval_never_looks_like_a_point(low, width):
    metric = Metric(low, low, low + width, 20, 20)
    first, _, second = metric.interval_text.partition("-")
    assert first != second
    json.dumps(metric.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.9997, 0.99962, 0.99979, "0.9997 (0.9996-0.9998)"),
        (14.93, 9.4, 20.1, "14.9 (9.4-20.1)"),
        (0.5, 0.4, 0.6, "0.50 (0.40-0.60)"),
        (12.0, None, None, "12.0"),
    ],
)
def test_value_and_bounds_have_the_same_decimals(value, low, high, text):
    assert Metric(value, low, high, 20, 20).short == text
