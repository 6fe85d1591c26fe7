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


def test_a_metric_has_a_value_or_a_reason():
    for value, reason in ((None, ""), (0.5, "none")):
        with pytest.raises(ValueError, match="or a reason"):
            Metric(value, None, None, 20, 20, reason)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((0.5, 0.4, 0.6), "0.50 (0.40–0.60)"),
        ((12.0, None, None), "12.0"),
        ((14.9, 9.4, None), "14.9 (above 9.40)"),
        ((-3.0, None, 1.0), "-3.00 (below 1.00)"),
        ((-0.001, -0.004, 0.1), "0.00 (0.00 to 0.10)"),
        ((float("nan"), 0.1, 0.9), "not estimable (it is not defined for these predictions)"),
    ],
)
def test_value_and_interval_as_they_are_shown(fields, text):
    found = Metric(*fields, 20, 20)
    assert found.short == text
    assert str(found) == (text.replace("(", "(95 % CI ") if found.interval_text else text)
