"""Probabilities: as scikit-learn counts, found again where the answer is known, and by hand at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from statistics_helpers import SETS, at_least, of_patients

from detector.statistics import intervals, probabilities
from detector.statistics.metric import Metric

ONES = np.ones((1, 400))


def of(logits, truth, patients=None, corrected=None):
    scores = expit(np.asarray(logits, float))[None]
    patients = np.arange(len(truth)) if patients is None else patients
    return probabilities.of_probabilities(scores, scores if corrected is None else corrected, truth, patients, 0)


def test_probabilities_as_scikit_learn_counts_them():
    from sklearn.metrics import average_precision_score, brier_score_loss

    generator = np.random.default_rng(1)
    scores = generator.random(400).round(2)
    truth = generator.random(400) < scores
    assert probabilities.brier(scores, truth, ONES)[0] == pytest.approx(brier_score_loss(truth, scores))
    found = probabilities.average_precision(scores, truth, ONES)[0]
    assert found == pytest.approx(average_precision_score(truth, scores))


@pytest.mark.parametrize("intercept", [-1.0, 0.0, 0.5])
def test_calibration_in_the_large_is_the_intercept_at_slope_one(intercept):
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 1.5, 40_000)
    truth = generator.random(40_000) < expit(intercept + logits)
    found = probabilities.calibration_in_the_large(expit(logits), truth, np.ones((1, 40_000)))[0]
    assert found == pytest.approx(intercept, abs=0.05)


@pytest.mark.parametrize("slope", [-0.5, 0.5, 1.0, 2.0])
def test_the_slope_is_found_whatever_the_intercept(slope):
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 1.5, 40_000)
    truth = generator.random(40_000) < expit(0.7 + slope * logits)
    found = probabilities.calibration_slope(expit(logits), truth, np.ones((1, 40_000)))[0]
    assert found == pytest.approx(slope, abs=0.06)


def test_a_steep_slope_does_not_move_calibration_in_the_large():
    """Timid probabilities near 0.5 that separate well: fitted with the slope, the intercept would be large."""
    generator = np.random.default_rng(0)
    strength = generator.normal(0, 1, 400)
    truth = generator.random(400) < expit(15 * strength)
    found = probabilities.calibration_in_the_large(expit(0.3 + strength), truth, ONES)[0]
    assert abs(found) < 0.7
    assert probabilities.calibration_slope(expit(0.3 + strength), truth, ONES)[0] > 5


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [
        ([0.6, 0.7], [0.2, 0.3], np.inf),
        ([0.5, 0.7], [0.2, 0.5], np.inf),
        ([0.2, 0.5], [0.5, 0.7], -np.inf),
        ([0.4, 0.4], [0.4, 0.4], np.nan),
    ],
)
def test_separation_includes_ties_at_the_boundary(positives, negatives, expected):
    scores, truth = np.array(positives + negatives), np.array([True, True, False, False])
    found = probabilities.calibration_slope(scores, truth, np.ones((1, 4)))[0]
    assert found == expected or (np.isnan(found) and np.isnan(expected))


def test_weights_that_let_classes_count_equally_are_undone():
    """A classifier of nine negatives to a positive, whose probabilities are those of equal classes."""
    generator = np.random.default_rng(5)
    labels = (generator.random(40_000) >= 0.1).astype(int)
    x = generator.normal(0, 1, 40_000) + 1.5 * (labels == 0)
    equal = expit(1.5 * x - 1.5**2 / 2)
    said = np.stack([equal, 1 - equal], axis=1)
    corrected = probabilities.at_prevalence_of(said, labels)
    weights = np.ones((1, 40_000))
    before = probabilities.calibration_in_the_large(said[:, 0], labels == 0, weights)[0]
    after = probabilities.calibration_in_the_large(corrected[:, 0], labels == 0, weights)[0]
    assert before == pytest.approx(np.log(1 / 9), abs=0.1)
    assert after == pytest.approx(0, abs=0.05)
    assert corrected.sum(axis=1) == pytest.approx(1)
    assert (np.argsort(corrected[:, 0]) == np.argsort(said[:, 0])).mean() > 0.99, "ranks stay"


def test_what_cannot_be_estimated_says_why():
    truth = np.arange(40) < 20
    apart = of(np.where(truth, 2.0, -2.0) + np.linspace(0, 1, 40), truth)
    assert apart["calibration_slope"].reason == "no image is ranked wrongly: the slope has no bound"
    assert apart["average_precision"].value == 1.0 and apart["average_precision"].ci_low < 0.9
    assert apart["brier_score"].available and apart["calibration_in_the_large"].available
    same = of(np.zeros(40), truth)
    assert same["calibration_slope"].reason == "all predictions are equal"
    few = of(np.zeros(31), np.arange(31) < 1)
    assert {one.reason for one in few.values()} == {"1 v 30 images; 10 v 10 are needed"}
    one = of(np.zeros(40), truth, np.where(truth, 0, np.arange(40) + 1))
    assert {one.reason for one in one.values()} == {"all images of a class are of one patient"}


def test_a_slope_without_an_upper_bound_is_bounded_below():
    logits = np.concatenate([np.linspace(0.1, 1, 20), np.linspace(-1, 0, 20)])
    logits[0], logits[-1] = -0.05, 0.15
    slope = of(logits, np.arange(40) < 20)["calibration_slope"]
    assert slope.ci_high is None and slope.interval_text.startswith("above ")


@pytest.mark.parametrize("images", [1, 3, 10])
def test_intervals_of_average_precision_are_over_patients(images, monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    generator, sets = np.random.default_rng(images), SETS // 2
    truth = np.arange(60 * images) < 30 * images
    noise, _ = of_patients(np.random.default_rng(9), 40_000, 1)
    large = np.arange(40_000) < 20_000
    expected = probabilities.average_precision(noise + 1.2 * large, large, np.ones((1, 40_000)))[0]
    covered = 0
    for _ in range(sets):
        noise, who = of_patients(generator, 60, images)
        found = of(noise + 1.2 * truth, truth, who)["average_precision"]
        covered += found.ci_low <= expected <= found.ci_high
    assert at_least(sets) - 0.02 <= covered / sets


# Predictive values


def test_predictive_values_by_bayes():
    sensitivity, specificity = Metric(0.9, 0.851, 0.934, 200, 0), Metric(0.95, 0.919, 0.969, 0, 300)
    ppv, npv = probabilities.predictive_values(sensitivity, specificity, 0.01)
    assert ppv.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.05 * 0.99))
    assert npv.value == pytest.approx(0.95 * 0.99 / (0.95 * 0.99 + 0.1 * 0.01))
    assert ppv.ci_low < ppv.value < ppv.ci_high and npv.ci_low < npv.value < npv.ci_high


def test_predictive_values_are_wider_where_patients_have_several_images():
    hits, who = np.tile([1.0] * 9 + [0.0], 4), np.repeat(np.arange(20), 2)
    hits = np.repeat(hits[:20], 2)
    alone = [intervals.proportion(hits, np.arange(40)), intervals.proportion(hits, np.arange(40), np.zeros(40, bool))]
    pairs = [intervals.proportion(hits, who), intervals.proportion(hits, who, np.zeros(40, bool))]
    one, other = (probabilities.predictive_values(*both, 0.1)[0] for both in (alone, pairs))
    assert one.value == other.value and one.ci_high - one.ci_low < other.ci_high - other.ci_low


def test_where_no_image_is_predicted_positive_there_is_no_predictive_value():
    none, every = Metric(0.0, 0.0, 0.2, 20, 0), Metric(1.0, 0.8, 1.0, 0, 20)
    ppv, npv = probabilities.predictive_values(none, every, 0.1)
    assert ppv.reason == "no image is predicted positive" and npv.value == pytest.approx(0.9)
    assert not probabilities.predictive_values(Metric.unavailable("no images"), every, 0.1)[0].available


def test_reliability_of_honest_probabilities_is_the_diagonal():
    generator = np.random.default_rng(3)
    said = generator.random(3000)
    draws = generator.multinomial(3000, np.full(3000, 1 / 3000), 100).astype(float)
    curve = probabilities.reliability_curve(said, generator.random(3000) < said, draws)
    grid, middle, low, high = (np.asarray(part) for part in curve)
    inner = (grid > 0.05) & (grid < 0.95)
    assert np.abs(middle - grid)[inner].max() < 0.12
    assert (low <= high).all() and ((low <= grid) & (grid <= high))[inner].mean() > 0.8
