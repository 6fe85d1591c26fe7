"""Predictive values by Bayes' theorem, with intervals over patients."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from detector.statistics import proportions
from detector.statistics.metric import Metric
from detector.statistics.proportions import predictive_values


def test_predictive_values_by_bayes():
    sensitivity, specificity = Metric(0.9, 0.851, 0.934, 200, 0), Metric(0.95, 0.919, 0.969, 0, 300)
    ppv, npv = predictive_values(sensitivity, specificity, 0.01)
    assert ppv.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.05 * 0.99))
    assert npv.value == pytest.approx(0.95 * 0.99 / (0.95 * 0.99 + 0.1 * 0.01))
    assert ppv.ci_low < ppv.value < ppv.ci_high and npv.ci_low < npv.value < npv.ci_high


def test_predictive_values_are_wider_where_patients_have_several_images():
    hits, who = np.tile([1.0] * 9 + [0.0], 4), np.repeat(np.arange(20), 2)
    hits = np.repeat(hits[:20], 2)
    alone = [
        proportions.proportion(hits, np.arange(40)),
        proportions.proportion(hits, np.arange(40), np.zeros(40, bool)),
    ]
    pairs = [proportions.proportion(hits, who), proportions.proportion(hits, who, np.zeros(40, bool))]
    one, other = (predictive_values(*both, 0.1)[0] for both in (alone, pairs))
    assert one.value == other.value and one.ci_high - one.ci_low < other.ci_high - other.ci_low


@pytest.mark.parametrize("prevalence", [0.01, 0.5])
def test_intervals_of_predictive_values_cover(prevalence):
    """Every result of 30 v 30 patients, weighted by how likely it is: no simulation, no luck."""
    n, se, sp = 30, 0.85, 0.90
    hits = [proportions.proportion(np.arange(n) < k, np.arange(n)) for k in range(n + 1)]
    expected = (
        se * prevalence / (se * prevalence + (1 - sp) * (1 - prevalence)),
        sp * (1 - prevalence) / (sp * (1 - prevalence) + (1 - se) * prevalence),
    )
    covered = np.zeros(2)
    for (i, p), (j, q) in itertools.product(*(enumerate(binom.pmf(np.arange(n + 1), n, of)) for of in (se, sp))):
        if p * q > 1e-9:
            found = predictive_values(hits[i], hits[j], prevalence)
            covered += p * q * np.array([one.low <= of <= one.high for one, of in zip(found, expected, strict=True)])
    assert ((covered > 0.94) & (covered < 0.98)).all()


@pytest.mark.parametrize(("se", "sp"), [(1.0, 1.0), (0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (0.5, 0.0)])
def test_predictive_values_at_the_edges_have_an_interval_that_holds_them(se, sp):
    hits = [proportions.proportion(np.arange(20) < round(20 * share), np.arange(20)) for share in (se, sp)]
    for one in predictive_values(*hits, 0.1):
        assert 0.0 <= one.low <= one.point <= one.high <= 1.0 and one.high - one.low > 0.001


def test_where_no_image_is_predicted_positive_there_is_no_predictive_value():
    none, every = Metric(0.0, 0.0, 0.2, 20, 0), Metric(1.0, 0.8, 1.0, 0, 20)
    ppv, npv = predictive_values(none, every, 0.1)
    assert ppv.reason == "no image is predicted positive" and npv.value == pytest.approx(0.9)
    assert not predictive_values(Metric.unavailable("no images"), every, 0.1)[0].available


@pytest.mark.parametrize("prevalence", [1e-320, 1e-15, 1e-9, 1e-7, 1 - 1e-9])
@pytest.mark.parametrize(("se", "sp"), itertools.product([0.0, 0.5, 1.0], repeat=2))
def test_a_prevalence_next_to_0_or_1_gives_no_interval_of_a_point(se, sp, prevalence):
    """``--prevalence 1e-9`` ended a training run with a traceback after its last step."""
    hits = [proportions.proportion(np.arange(10) < round(10 * share), np.arange(10)) for share in (se, sp)]
    ppv, npv = predictive_values(*hits, prevalence)
    for one in (ppv, npv):
        assert not one.available or 0 <= one.low <= one.point <= one.high <= 1
    if (se, sp, prevalence) == (0.5, 0.5, 1e-15):
        assert npv.reason == "1.00 whatever is predicted, at a prevalence of 1e-15"
