"""The difference of two ROC AUCs on the same images: its value, DeLong's standard error, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from statistics_helpers import at_least, of_patients

from detector.statistics import auc, resampling
from detector.statistics.auc import auc_difference, roc_auc

SETS = 200


@pytest.fixture
def fewer_draws(monkeypatch):
    """Draw 400 times instead of 2,000: what hundreds of data sets need."""
    monkeypatch.setattr(resampling, "RESAMPLES", 400)


def two_classifiers(generator, areas, patients, images=1, shared=0.5):
    """Two scores (1, n) of images of as many patients a class, correlated, whose true areas are known."""
    (common, who), *own = (of_patients(generator, 2 * patients, images) for _ in range(3))
    truth = who < patients
    mixed = (np.sqrt(shared) * common + np.sqrt(1 - shared) * noise for noise, _ in own)
    shifts = (np.sqrt(2) * norm.ppf(area) for area in areas)
    first, second = ((noise + shift * truth)[None] for noise, shift in zip(mixed, shifts, strict=True))
    return (first, second), truth, who


def delong_error(scores, truth):
    """The standard error of DeLong et al., Biometrics 44 (1988): from the covariance of both scores' placements."""
    placements = {}
    for side, other in ((True, False), (False, True)):
        rows = []
        for one in scores:
            wins = np.sign(one[truth == side][:, None] - one[truth == other][None])
            rows.append((wins if side else -wins).mean(axis=1) / 2 + 0.5)
        placements[side] = np.cov(rows) / (truth == side).sum()
    covariance = placements[True] + placements[False]
    return float(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


@pytest.mark.parametrize(("areas", "shared"), [((0.7, 0.7), 0.0), ((0.8, 0.7), 0.5), ((0.9, 0.85), 0.9)])
def test_the_standard_error_is_delongs_where_each_patient_has_an_image(areas, shared):
    (first, second), truth, who = two_classifiers(np.random.default_rng(5), areas, 100, shared=shared)
    found = auc_difference((first, second), truth, who, 0)
    half = norm.ppf(0.975) * auc._widening(100, ())
    assert (found.high - found.low) / 2 / half == pytest.approx(delong_error((first[0], second[0]), truth), rel=0.08)


def test_it_is_the_difference_of_both_areas_in_folds_and_repeats():
    generator = np.random.default_rng(1)
    truth, who = np.arange(80) % 2 == 0, np.arange(80)
    folds = generator.integers(0, 4, (3, 80))
    # Each fold's model has an offset of its own, as in a cross-validation.
    scores = tuple(generator.normal(size=(3, 80)) + strength * truth + 20.0 * folds for strength in (1.5, 0.5))
    found = auc_difference(scores, truth, who, 0, folds)
    first, second = (roc_auc(one, truth, who, folds=folds) for one in scores)
    assert found.value == pytest.approx(first.point - second.point, abs=1e-9)
    assert (found.n_positive, found.n_negative, found.n_patients) == (40, 40, 80)
    swapped = auc_difference(scores[::-1], truth, who, 0, folds)
    assert swapped.value == -found.value
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=0.01)


def test_a_draw_changes_both_areas_together():
    """A second score that is the first one nearly everywhere leaves little to be uncertain about."""
    generator = np.random.default_rng(2)
    (first, _), truth, who = two_classifiers(generator, (0.75, 0.75), 50)
    close = auc_difference((first, first + 0.05 * generator.normal(size=first.shape)), truth, who, 0)
    area = auc.roc_auc(first, truth, who)
    assert close.high - close.low < 0.2 * (area.high - area.low)


def test_equal_scores_differ_by_exactly_nothing():
    (first, _), truth, who = two_classifiers(np.random.default_rng(3), (0.7, 0.7), 20)
    found = auc_difference((first, first.copy()), truth, who, 0)
    assert (found.value, found.ci_low, found.ci_high) == (0.0, None, None)


def test_two_perfect_classifiers_are_not_shown_to_be_equal():
    truth = np.arange(40) > 19
    scores = np.arange(40.0)[None], np.where(truth, 2.0, 1.0)[None]
    found = auc_difference(scores, truth, np.arange(40), 0)
    assert found.value == 0.0
    assert -0.25 < found.low < -0.05 and 0.05 < found.high < 0.25
    other = np.arange(40.0) % 20 + truth  # 0.5 and a little
    one = auc_difference((scores[0], other[None]), truth, np.arange(40), 0)
    assert 0 < one.low < one.point < one.high <= 1.0


def test_what_cannot_be_estimated_says_why():
    generator = np.random.default_rng(4)
    scores = generator.normal(size=(1, 40)), generator.normal(size=(1, 40))
    assert (
        auc_difference(scores, np.arange(40) > 30, np.arange(40), 0).reason == "9 v 31 images; at least 10 v 10 needed"
    )
    who = np.where(np.arange(40) > 19, 0, np.arange(40) + 1)
    assert auc_difference(scores, np.arange(40) > 19, who, 0).reason == "all images of a class are of one patient"


# Coverage


@pytest.mark.parametrize(("patients", "images", "area"), [(12, 1, 0.8), (12, 3, 0.7)])
def test_equal_classifiers_are_found_equal(fewer_draws, patients, images, area):
    generator, covered = np.random.default_rng([patients, images]), 0
    for seed in range(SETS):
        scores, truth, who = two_classifiers(generator, (area, area), patients, images)
        found = auc_difference(scores, truth, who, seed)
        covered += found.low <= 0 <= found.high
    assert at_least(SETS) <= covered / SETS


def test_a_difference_of_a_tenth_is_found(fewer_draws):
    generator, clear, covered = np.random.default_rng(0), 0, 0
    for seed in range(30):
        scores, truth, who = two_classifiers(generator, (0.85, 0.75), 120)
        found = auc_difference(scores, truth, who, seed)
        clear += found.low > 0
        covered += found.low <= 0.1 <= found.high
    assert clear >= 24
    assert covered / 30 >= at_least(30)


def test_of_scores_out_of_fold_the_interval_covers_what_refitting_adds(fewer_draws):
    """Ridge regression on noise, five folds: neither of two feature sets is better."""
    generator, covered, without, sets, n = np.random.default_rng(7), 0, 0, 120, 60
    truth, folds = np.arange(n) % 2 == 0, (np.arange(n) // 2 % 5)[None]
    for seed in range(sets):
        scores = []
        for features in generator.normal(size=(2, n, 200)):
            found = np.empty(n)
            for fold in range(5):
                held_out = folds[0] == fold
                inside = features[~held_out]
                dual = np.linalg.solve(inside @ inside.T + 200 * np.eye(len(inside)), truth[~held_out] - 0.5)
                found[held_out] = features[held_out] @ inside.T @ dual
            scores.append(found[None])
        found = auc_difference(tuple(scores), truth, np.arange(n), seed, folds)
        covered += found.low <= 0 <= found.high
        # What the interval would be without the correction.
        factor = auc._widening(30, tuple(roc_auc(one, truth, np.arange(n), folds=folds).point for one in scores))
        narrow = [found.point + (bound - found.point) / factor for bound in (found.low, found.high)]
        without += narrow[0] <= 0 <= narrow[1]
    assert covered / sets >= at_least(sets)
    assert without / sets < 0.92, "the bootstrap alone covers too little"
