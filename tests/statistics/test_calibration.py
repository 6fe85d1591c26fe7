"""Calibration: found again where the result is known, and by hand at the edges."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy.special import expit

from detector.statistics import probabilities
from detector.statistics.metric import FEWEST
from detector.statistics.resampling import patient_draws, wilson

ONES = np.ones((1, 400))


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


def test_the_reliability_of_few_patients_is_nowhere_certain():
    """Where the lowest of 60 probabilities are all of negative images, every draw has a curve of 0 there."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1.5, 60)
    truth = generator.random(60) < expit(logits)
    draws = np.concatenate(list(islice(patient_draws(truth, np.arange(60), 0), 1)))[:50]
    _, curve, low, high = probabilities.reliability_curve(expit(logits), truth, np.arange(60), draws)
    assert (low <= curve).all() and (curve <= high).all()
    assert (high - low).min() > 0.2
    assert high[0] == pytest.approx(wilson(0.0, FEWEST, 1.96)[1], abs=1e-3)


def test_a_step_of_the_reliability_curve_rests_on_its_patients():
    """The lowest 20 of 60 probabilities are of negative images; once of 20 patients, once of one."""
    said, truth = np.linspace(0, 1, 60), np.arange(60) >= 20
    apart, same = np.arange(60), np.where(truth, np.arange(60), 0)
    ends = [probabilities.reliability_curve(said, truth, who, np.ones((2, 60)))[3][0] for who in (apart, same)]
    assert ends == pytest.approx([wilson(0.0, people, 1.96)[1] for people in (20, FEWEST)], abs=1e-3)


def test_reliability_of_calibrated_probabilities_is_the_diagonal():
    generator = np.random.default_rng(3)
    said = generator.random(3000)
    draws = generator.multinomial(3000, np.full(3000, 1 / 3000), 100).astype(float)
    curve = probabilities.reliability_curve(said, generator.random(3000) < said, np.arange(3000), draws)
    grid, middle, low, high = (np.asarray(part) for part in curve)
    inner = (grid > 0.05) & (grid < 0.95)
    assert np.abs(middle - grid)[inner].max() < 0.12
    assert (low <= high).all() and ((low <= grid) & (grid <= high))[inner].mean() > 0.8
