"""Metrics and their intervals: as published, by Bayes, and covering with several images a patient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, t
from statistics_helpers import SETS, at_least, at_most, of_patients

from detector.statistics import intervals
from detector.statistics.intervals import predictive_values, proportion
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


def test_wilson_as_published():
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = proportion(np.arange(n) < hits, np.arange(n))
        assert (round(found.ci_low, 4), round(found.ci_high, 4)) == (low, high)


@pytest.mark.parametrize("images", [1, 3, 10, np.where(np.arange(40), 1, 20)], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_are_over_patients(images, share):
    """Coverage of 95 % with several images a patient, whose latent correlation is 0.6; one may have half of them."""
    generator, covered = np.random.default_rng(round(10 * share)), 0
    for _ in range(SETS):
        latent, who = of_patients(generator, 40, images)
        found = proportion(latent < norm.ppf(share), who, who < 20)
        covered += found.ci_low <= share <= found.ci_high
    assert at_least(SETS) <= covered / SETS
    assert np.ndim(images) or covered / SETS <= at_most(SETS)


def test_images_that_all_agree_are_worth_their_patients():
    who = np.repeat(np.arange(12), 5)
    one, other = proportion(np.ones(60), who), proportion(np.ones(12), np.arange(12))
    assert (one.ci_low, one.n_patients) == (other.ci_low, other.n_patients)
    assert one.n_positive == 60


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=30))
def test_an_interval_holds_its_value(cells):
    found = proportion(np.array([hit for hit, _ in cells]), np.array([who for _, who in cells]))
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


def test_a_bootstrap_draws_patients_whole_and_classes_apart():
    truth, who = np.arange(12) < 6, np.repeat(np.arange(6), 2)
    weights = intervals.resampled(np.copy, truth, who, 0)
    assert weights.shape == (intervals.RESAMPLES, 12)
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert (weights[:, truth].sum(axis=1) == 6).all()


def test_uneven_patients_count_as_fewer_for_students_quantile():
    """Twelve patients with one image and two with twelve: two of them hold two thirds of the images."""
    who = np.concatenate([np.arange(12), np.repeat([12, 13], 12)])
    hits = np.concatenate([np.arange(12) % 2, np.ones(12), np.zeros(12)])
    size = intervals.effective_size(hits, who)
    found = proportion(hits, who)
    assert found.n_patients == 14
    quantile = t.ppf(0.975, 36**2 / (12 + 2 * 144) - 1)
    assert (found.low, found.high) == pytest.approx(intervals.wilson(0.5, size, quantile))


def test_predictive_values_by_bayes():
    sensitivity, specificity = Metric(0.9, 0.851, 0.934, 200, 0), Metric(0.95, 0.919, 0.969, 0, 300)
    ppv, npv = predictive_values(sensitivity, specificity, 0.01)
    assert ppv.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.05 * 0.99))
    assert npv.value == pytest.approx(0.95 * 0.99 / (0.95 * 0.99 + 0.1 * 0.01))
    assert ppv.ci_low < ppv.value < ppv.ci_high and npv.ci_low < npv.value < npv.ci_high


@pytest.mark.parametrize("prevalence", [0.01, 0.5])
def test_intervals_of_predictive_values_cover(prevalence):
    """Every result of 30 v 30 patients, weighted by how likely it is: no simulation, no luck."""
    n, se, sp = 30, 0.85, 0.90
    hits = [proportion(np.arange(n) < k, np.arange(n)) for k in range(n + 1)]
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


def test_where_no_image_is_predicted_positive_there_is_no_predictive_value():
    none, every = Metric(0.0, 0.0, 0.2, 20, 0), Metric(1.0, 0.8, 1.0, 0, 20)
    ppv, npv = predictive_values(none, every, 0.1)
    assert ppv.reason == "no image is predicted positive" and npv.value == pytest.approx(0.9)
    assert not predictive_values(Metric.unavailable("no images"), every, 0.1)[0].available


@pytest.mark.parametrize("prevalence", [1e-320, 1e-9, 0.1, 1 - 1e-9])
@pytest.mark.parametrize(("se", "sp"), itertools.product([0.0, 0.5, 1.0], repeat=2))
def test_a_prevalence_next_to_0_or_1_gives_no_interval_of_a_point(se, sp, prevalence):
    """``--prevalence 1e-9`` ended a training run with a traceback after its last step."""
    hits = [proportion(np.arange(10) < round(10 * share), np.arange(10)) for share in (se, sp)]
    ppv, npv = predictive_values(*hits, prevalence)
    for one in (ppv, npv):
        assert not one.available or one.ci_low is None or 0 <= one.low <= one.point <= one.high <= 1
