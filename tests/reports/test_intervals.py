"""Intervals have an en dash in reports, and names stay as they are."""

from __future__ import annotations

import pytest

from detector.reports.intervals import en_dash
from detector.statistics.metric import Metric


def test_an_interval_has_an_en_dash_in_reports():
    assert en_dash(Metric(0.98, 0.91, 1.0, 20, 20).short) == "0.98 (0.91–1.00)"
    assert en_dash("accuracy 0.64-0.95 with 20 images, slope 14.9 (9.4-20.1).") == (
        "accuracy 0.64–0.95 with 20 images, slope 14.9 (9.4–20.1)."
    )
    assert en_dash("0.31 to 0.40, -0.43 to -0.40") == "0.31 to 0.40, -0.43 to -0.40"


@pytest.mark.parametrize(
    "name", ["scan-1.25-2.50.png", "1.2-3.4.dcm", "covid-19", "2026-11-25", "a/0.1-0.2/b", "1.2-3.4-5.6"]
)
def test_a_name_stays_as_it_is(name):
    assert en_dash(name) == name
