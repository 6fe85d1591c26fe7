"""Newcombe's interval and the variance behind it."""

from __future__ import annotations

import numpy as np
import pytest

from detector.statistics import roc_interval


def test_the_variance_is_that_published_for_hanleys_and_mcneils_images():
    """Radiology 143 (1982), page 32: area 0.893, 51 abnormal and 58 normal images, standard error 0.032."""
    assert np.sqrt(roc_interval.exponential_variance(0.893, 51, 58)) == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize(("value", "positives", "negatives"), [(1.0, 10, 10), (0.5, 20, 20), (0.8, 30, 7)])
def test_newcombes_interval_surrounds_and_mirrors(value, positives, negatives):
    low, high = roc_interval.newcombe_interval(value, positives, negatives)
    assert low < value <= high <= 1.0
    mirrored = roc_interval.newcombe_interval(1 - value, positives, negatives)[::-1]
    assert (low, high) == pytest.approx([1 - bound for bound in mirrored], abs=1e-6)


def test_newcombes_equation_holds_at_its_bounds():
    """At a bound the square of the distance is z² times the variance of the exponential model there."""
    for value, m, n in ((0.9, 14, 18), (1.0, 14, 18), (0.7, 5, 60)):
        for bound in roc_interval.newcombe_interval(value, m, n):
            if 0 < bound < 1:
                mean = (m + n) / 2 - 1
                spread = 1 + mean * ((1 - bound) / (2 - bound) + bound / (1 + bound))
                variance = bound * (1 - bound) * spread / (m * n)
                assert (value - bound) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-4)
