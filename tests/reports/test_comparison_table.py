"""A comparison of two recipes in words."""

from __future__ import annotations

import pytest

from detector.reports import training_report
from detector.statistics.metric import Metric
from detector.training.comparison import RecipeComparison


@pytest.mark.parametrize(
    ("difference", "text", "clear"),
    [
        (Metric(0.06, 0.01, 0.11, 50, 50), "+0.06 (0.01 to 0.11)", True),
        (Metric(-0.1, -0.17, -0.04, 50, 50), "-0.10 (-0.17 to -0.04)", True),
        (Metric(-0.087, -0.183, 0.001, 50, 50), "-0.087 (-0.183 to 0.001)", False),
        (Metric(-0.001, -0.05, 0.05, 50, 50), "0.00 (-0.05 to 0.05)", False),
        (Metric(0.02, 0.0, 0.05, 50, 50), "+0.02 (0.00 to 0.05)", False),
        (
            Metric.unavailable("3 v 3 images; at least 10 v 10 needed"),
            "not estimable (3 v 3 images; at least 10 v 10 needed)",
            False,
        ),
    ],
)
def test_a_difference_in_words(difference, text, clear):
    area = Metric(0.8, 0.7, 0.9, 50, 50)
    found = training_report.comparison_lines(
        RecipeComparison("probe:lungs", "tutorial:tutorial", area, area, difference)
    )
    assert f"  linear probe (lungs) minus tutorial: {text}" in found
    assert (f"  {training_report.UNCLEAR}" in found) == (difference.available and not clear)


def test_no_difference_without_an_interval_is_nought():
    assert training_report.signed(Metric(0.0, None, None, 50, 50)) == "0"
