"""Newcombe's interval and the variance behind it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from detector.statistics import auc


def test_the_variance_is_that_published_for_hanleys_and_mcneils_images():
    """Radiology 143 (1982), page 32: area 0.893, 51 abnormal and 58 normal images, standard error 0.032."""
    assert np.sqrt(auc.exponential_variance(0.893, 51, 58)) == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize(
    ("area", "sizes", "level", "low", "high"),
    [
        (38.5 / 42, (7, 6), 0.95, 0.5973406, 0.9860176),
        (38.5 / 42, (7, 6), 0.99, 0.4875014, 0.9907377),
        (38.5 / 42, (7, 6), 0.90, 0.6591091, 0.9822249),
        (3.5 / 42, (7, 6), 0.95, 0.01398242, 0.4026594),
        (19.5 / 25, (5, 5), 0.95, 0.4115567, 0.9423658),
    ],
)
def test_newcombes_interval_is_that_of_method_5_as_published(area, sizes, level, low, high):
    """As printed for `NAP`, an area under the ROC curve with Newcombe's method 5.

    Source: D. M. Swan, J. E. Pustejovsky, P. Grekov, R package SingleCaseES, vignette "Basic effect sizes calculations
    using SingleCaseES" (2024), sections 1.1 to 1.3. R's root finder, which it calls, stops 1e-4 from a root at most.
    """
    quantile = float(norm.ppf((1 + level) / 2))
    assert auc.newcombe_interval(area, *sizes, quantile) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("value", "positives", "negatives"), [(1.0, 10, 10), (0.5, 20, 20), (0.8, 30, 7)])
def test_newcombes_interval_surrounds_and_mirrors(value, positives, negatives):
    low, high = auc.newcombe_interval(value, positives, negatives)
    assert low < value <= high <= 1.0
    mirrored = auc.newcombe_interval(1 - value, positives, negatives)[::-1]
    assert (low, high) == pytest.approx([1 - bound for bound in mirrored], abs=1e-6)


def test_newcombes_equation_holds_at_its_bounds():
    """At a bound the square of the distance is z² times the variance of the exponential model there."""
    for value, m, n in ((0.9, 14, 18), (1.0, 14, 18), (0.7, 5, 60)):
        for bound in auc.newcombe_interval(value, m, n):
            if 0 < bound < 1:
                mean = (m + n) / 2 - 1
                spread = 1 + mean * ((1 - bound) / (2 - bound) + bound / (1 + bound))
                variance = bound * (1 - bound) * spread / (m * n)
                assert (value - bound) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-4)
