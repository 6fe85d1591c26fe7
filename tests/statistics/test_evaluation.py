"""Predictions against the truth: by hand, as scikit-learn counts, found again where the result is known, covering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from statistics_helpers import SETS, at_least

from detector.statistics import intervals, probabilities
from detector.statistics.auc import Scores
from detector.statistics.evaluation import Predictions, evaluate, predict

LABELS = np.repeat([0, 0, 0, 1, 1, 1, 1], 4)
SAID = np.repeat([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]], 4, axis=0)


def evaluated(threshold=None):
    predictions = Predictions.of_one_model(LABELS, np.arange(28), SAID, predict(SAID, 0, threshold))
    return evaluate(predictions, ["covid", "normal"], 0)


def test_evaluation_by_hand():
    result = evaluated()
    assert result.confusion.tolist() == [[8, 4], [4, 12]]
    assert (result.sensitivity.value, result.sensitivity.n_positive) == (pytest.approx(2 / 3), 12)
    assert (result.specificity.value, result.specificity.n_negative) == (0.75, 16)
    assert (result.sensitivity.n_negative, result.specificity.n_positive) == (0, 0)
    assert result.roc_auc.value == pytest.approx(10 / 12)
    assert result.roc_auc.ci_low < result.roc_auc.value < result.roc_auc.ci_high
    assert set(result.metrics()) == {"roc_auc", "accuracy", "sensitivity", "specificity"}
    assert evaluated(0.7).confusion.tolist() == [[8, 4], [0, 16]]


def test_repeats_are_averaged_and_folds_kept_apart():
    """Of two repeats one is right everywhere and one nowhere; each fold's scores have an offset."""
    truth = np.arange(40) % 2
    folds = np.stack([np.arange(40) // 20] * 2)
    scores = np.where(truth == 0, 0.3, 0.2) + 0.5 * folds
    probabilities = np.stack([scores, 1 - scores], axis=-1)
    found = evaluate(
        Predictions(truth, np.arange(40), probabilities, np.stack([truth, 1 - truth]), folds), ["a", "b"], 0
    )
    assert found.accuracy.value == found.sensitivity.value == found.specificity.value == 0.5
    assert found.roc_auc.value == 1.0


def of_noise(folds):
    """Evaluate predictions that are half right, of 40 patients."""
    labels, who, scores = np.arange(40) % 2, np.arange(40), np.random.default_rng(0).permutation(40) / 40
    said = np.stack([scores, 1 - scores], axis=1)
    predictions = Predictions.of_one_model(labels, who, said, predict(said, 0))
    return evaluate(replace(predictions, folds=(who % folds)[None]), ["a", "b"], 0)


def test_intervals_are_wider_where_every_fold_has_a_model_of_its_own():
    one, several = of_noise(1).metrics(), of_noise(5).metrics()
    for name in ("accuracy", "sensitivity", "specificity"):
        assert one[name].value == several[name].value
        widths = [found[name].ci_high - found[name].ci_low for found in (one, several)]
        assert widths[1] > 1.2 * widths[0]


ONES = np.ones((1, 400))


def of(logits, truth, patients=None, folds=None, balanced=False):
    scores = np.atleast_2d(expit(np.asarray(logits, float)))
    patients = np.arange(len(truth)) if patients is None else patients
    folds = np.zeros(scores.shape, int) if folds is None else folds
    return probabilities.of_probabilities(Scores(scores, truth, patients, folds), 0, balanced)


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
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    generator, sets, shift = np.random.default_rng([m, n, round(100 * area)]), SETS // 4, np.sqrt(2) * norm.ppf(area)
    thresholds = np.linspace(9 + shift, -9, 20_001)
    recall, false = norm.sf(thresholds - shift), norm.sf(thresholds)
    expected = np.trapezoid(m * recall / (m * recall + n * false), recall)
    truth, covered = np.arange(m + n) < m, 0
    for _ in range(sets):
        found = of(generator.normal(size=m + n) + shift * truth, truth)["average_precision"]
        covered += found.ci_low <= expected <= found.ci_high
    assert covered / sets >= at_least(sets)


@pytest.mark.parametrize(("intercept", "slope"), [(0.7, -0.5), (0.7, 0.5), (0.7, 2.0), (-1.0, 1.0), (0.5, 1.0)])
def test_calibration_is_found_again(intercept, slope):
    """The slope whatever the intercept; in the large, the intercept at slope 1."""
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 1.5, 40_000)
    truth = generator.random(40_000) < expit(intercept + slope * logits)
    found = probabilities.calibration_slope(expit(logits), truth, np.ones((1, 40_000)))[0]
    assert found == pytest.approx(slope, abs=0.06)
    if slope == 1.0:
        found = probabilities.calibration_in_the_large(expit(logits), truth, np.ones((1, 40_000)))[0]
        assert found == pytest.approx(intercept, abs=0.05)


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


def test_what_cannot_be_estimated_says_why():
    truth = np.arange(40) < 20
    apart = of(np.where(truth, 2.0, -2.0) + np.linspace(0, 1, 40), truth)
    assert "separated without an error" in apart["calibration_slope"].reason
    assert apart["average_precision"].value == 1.0 and apart["average_precision"].ci_low < 0.9
    assert apart["brier_score"].available and apart["calibration_in_the_large"].available
    assert "all predictions are equal" in of(np.zeros(40), truth)["calibration_slope"].reason
    few = of(np.zeros(31), np.arange(31) < 1)
    assert {one.reason for one in few.values()} == {"too few images (1 and 30; 10 of each needed)"}
    one = of(np.zeros(40), truth, np.where(truth, 0, np.arange(40) + 1))
    assert {one.reason for one in one.values()} == {"too few patients (1 and 20; 10 of each needed)"}
    fifteen = of(np.random.default_rng(0).normal(size=40), np.arange(40) < 15)
    assert fifteen["calibration_slope"].reason == "too few patients (15 and 25; 20 of each needed)"
    assert fifteen["brier_score"].available
    one_error = np.concatenate([[-0.05], np.linspace(0.1, 1, 19), np.linspace(-1, 0, 19), [0.15]])
    slope = of(one_error, truth)["calibration_slope"]
    assert slope.ci_high is None and slope.interval_text.startswith("above ")


def test_probabilities_of_equal_classes_are_judged_at_equal_classes():
    """A classifier of nine negatives to a positive that was trained with classes that count equally."""
    generator = np.random.default_rng(5)
    truth = generator.random(3000) < 0.1
    x = generator.normal(0, 1, 3000) + 1.5 * truth
    found = of(1.5 * x - 1.5**2 / 2, truth, balanced=True)
    assert found["calibration_in_the_large"].low < 0 < found["calibration_in_the_large"].high
    assert found["calibration_slope"].low < 1 < found["calibration_slope"].high
    assert of(1.5 * x - 1.5**2 / 2, truth)["calibration_in_the_large"].high < -1


def test_intervals_of_out_of_fold_predictions_are_wider():
    generator, truth = np.random.default_rng(2), np.arange(100) < 50
    x = generator.normal(size=100) + 0.8 * truth
    alone, crossed = of(x, truth), of(x, truth, folds=np.arange(100)[None] % 5)
    for name in ("average_precision", "brier_score"):
        assert crossed[name].ci_high - crossed[name].ci_low > 1.15 * (alone[name].ci_high - alone[name].ci_low)


def test_reliability_of_calibrated_probabilities_is_the_diagonal():
    generator = np.random.default_rng(3)
    said = generator.random(3000)
    truth = generator.random(3000) < said
    grid, curve = probabilities.reliability_curve(np.stack([said, said]), truth, balanced=False)
    inner = (grid > 0.05) & (grid < 0.95)
    assert np.abs(curve - grid)[inner].max() < 0.12 and (np.diff(curve) >= 0).all()
