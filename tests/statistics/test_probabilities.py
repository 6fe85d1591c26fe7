"""Probabilities: as scikit-learn counts, found again where the result is known, and by hand at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from statistics_helpers import SETS, at_least, at_most, of_patients

from detector.statistics import probabilities, resampling

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


def test_the_area_under_the_precision_recall_curve_is_the_mean_average_precision():
    generator = np.random.default_rng(1)
    truth = generator.random(60) < 0.3
    scores = np.stack([generator.integers(0, values, 60) + 2.0 * truth for values in (4, 50, 9)])
    recall, precision = probabilities.precision_recall_curve(scores, truth)
    expected = np.mean([probabilities.average_precision(one, truth, np.ones((1, 60)))[0] for one in scores])
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(expected)
    assert (recall[0], recall[-1], precision[0]) == (0, 1, precision[1])


def test_a_metric_that_is_not_available_has_a_reason():
    truth = np.arange(40) < 20
    apart = of(np.where(truth, 2.0, -2.0) + np.linspace(0, 1, 40), truth)
    assert apart["calibration_slope"].reason == "no image is ranked wrongly, so it has no bound"
    assert of(np.where(truth, -2.0, 2.0) + np.linspace(0, 1, 40), truth)["calibration_slope"].reason == (
        "all images are ranked wrongly, so it has no bound"
    )
    assert apart["average_precision"].value == 1.0 and apart["average_precision"].ci_low < 0.9
    assert apart["brier_score"].available and apart["calibration_in_the_large"].available
    same = of(np.zeros(40), truth)
    assert same["calibration_slope"].reason == "all predictions are equal"
    few = of(np.zeros(31), np.arange(31) < 1)
    assert {one.reason for one in few.values()} == {"1 v 30 images; at least 10 v 10 needed"}
    one = of(np.zeros(40), truth, np.where(truth, 0, np.arange(40) + 1))
    assert {one.reason for one in one.values()} == {"all images of a class are of one patient"}


def test_a_slope_that_a_repeat_does_not_have_says_so():
    """Of several repeats one alone may separate the classes; what is said must hold of the others, too."""
    truth, wide = np.arange(40) < 20, np.linspace(-3, 3, 40)
    apart, mixed, equal = np.where(truth, 1.0, -1.0), np.roll(wide, 7), np.zeros(40)

    def reason(*repeats):
        scores = expit(np.stack(repeats))
        found = probabilities.of_probabilities(scores, scores, truth, np.arange(40), 0)
        return found["calibration_slope"].reason

    assert reason(apart, mixed) == "in a repeat no image is ranked wrongly, so it has no bound"
    assert reason(-apart, mixed) == "in a repeat all images are ranked wrongly, so it has no bound"
    for other in (mixed, apart):
        assert reason(equal, other) == "it is not defined in every repeat"
    assert reason(apart, -apart) == "it is not defined in every repeat"
    assert reason(apart) == "no image is ranked wrongly, so it has no bound"


def test_a_slope_without_an_upper_bound_is_bounded_below():
    logits = np.concatenate([np.linspace(0.1, 1, 20), np.linspace(-1, 0, 20)])
    logits[0], logits[-1] = -0.05, 0.15
    slope = of(logits, np.arange(40) < 20)["calibration_slope"]
    assert slope.ci_high is None and slope.interval_text.startswith("above ")


def test_calibrated_probabilities_of_few_images_are_not_called_underconfident(monkeypatch):
    """Two normals: the probabilities are the true ones, and the slope is 1."""
    monkeypatch.setattr(resampling, "RESAMPLES", 200)
    sets, above, covered = 60, 0, 0
    for m, shift in ((10, 1.2), (30, 2.2)):
        generator, truth = np.random.default_rng(m), np.arange(2 * m) < m
        for _ in range(sets // 2):
            x = generator.normal(size=2 * m) + shift * truth
            found = of(shift * x - shift**2 / 2, truth)["calibration_slope"]
            above += found.available and found.low > 1
            covered += not found.available or found.low <= 1 <= found.high
    assert above <= 2 and covered / sets >= at_least(sets)


@pytest.mark.parametrize(("m", "n"), [(20, 20), (20, 180)])
def test_no_interval_is_narrow_because_no_draw_differs(m, n):
    """A nearly perfect, and a nearly reversed ranking: what no image of so few shows may still happen."""
    truth = np.arange(m + n) < m
    for sign in (1, -1):
        logits = sign * np.where(truth, 4.0, -4.0) + np.linspace(0, 1, m + n)
        exact, near = (of(one, truth) for one in (logits, np.where(np.arange(m + n) == 0, -logits, logits)))
        for found in (exact, near):
            assert found["average_precision"].ci_high - found["average_precision"].ci_low > 0.1
        if sign == 1:
            assert exact["average_precision"].value == 1.0 and exact["brier_score"].ci_high > 3 / (m + n) / 2
            assert near["average_precision"].ci_low <= exact["average_precision"].ci_low


@pytest.mark.parametrize(("m", "n", "area"), [(20, 20, 0.6), (20, 20, 0.8), (50, 50, 0.8), (20, 180, 0.8)])
def test_intervals_of_average_precision_cover(m, n, area, monkeypatch):
    """Two normals of a known area; the average precision of so many images, at their prevalence."""
    monkeypatch.setattr(resampling, "RESAMPLES", 200)
    generator, sets, shift = np.random.default_rng([m, n, round(100 * area)]), SETS // 4, np.sqrt(2) * norm.ppf(area)
    thresholds = np.linspace(9 + shift, -9, 20_001)
    recall, false = norm.sf(thresholds - shift), norm.sf(thresholds)
    expected = np.trapezoid(m * recall / (m * recall + n * false), recall)
    truth, covered = np.arange(m + n) < m, 0
    for _ in range(sets):
        found = of(generator.normal(size=m + n) + shift * truth, truth)["average_precision"]
        covered += found.ci_low <= expected <= found.ci_high
    assert covered / sets >= at_least(sets)


@pytest.mark.parametrize("images", [1, 4])
def test_intervals_of_average_precision_are_over_patients(images, monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 200)
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
    assert at_least(sets) <= covered / sets <= at_most(sets)
