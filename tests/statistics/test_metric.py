"""A metric is a finite number with an interval, or the reason why there is none."""

from __future__ import annotations

import pytest

from detector.statistics.metric import Metric, too_few


@pytest.mark.parametrize(
    ("fields", "bounds"),
    [
        ((0.5, float("-inf"), 0.9), (None, 0.9)),
        ((0.5, 0.1, float("inf")), (0.1, None)),
        ((0.5, 0.5, 0.5), (None, None)),
    ],
)
def test_no_output_shows_an_infinite_bound_or_an_interval_of_a_point(fields, bounds):
    found = Metric(*fields, 20, 20)
    assert (found.ci_low, found.ci_high, found.value) == (*bounds, 0.5)


def test_what_is_not_a_number_is_not_available():
    assert Metric(float("nan"), 0.1, 0.9, 20, 20).short.startswith("not estimable (it is not defined")
    with pytest.raises(ValueError, match="or a reason"):
        Metric(None, None, None, 20, 20)


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
    reason = "too few images (1 and 30; 10 of each needed)"
    assert too_few(1, 30, "images").as_json() == {"value": None, "reason": reason}
    assert not too_few(1, 30).available


def test_what_rounds_to_nothing_has_no_sign():
    assert Metric(-0.001, -0.004, 0.1, 20, 20).short == "0.00 (0.00 to 0.10)"


def test_bounds_may_be_missing_on_one_side():
    assert Metric(14.9, 9.4, None, 20, 20).short == "14.9 (above 9.40)"
    assert Metric(-3.0, None, 1.0, 20, 20).interval_text == "below 1.00"


def test_value_and_interval_as_they_are_shown():
    assert Metric(0.5, 0.4, 0.6, 20, 20).short == "0.50 (0.40–0.60)"
    assert str(Metric(0.5, 0.4, 0.6, 20, 20)) == "0.50 (95 % CI 0.40–0.60)"
    assert Metric(12.0, None, None, 20, 20).short == "12.0"
