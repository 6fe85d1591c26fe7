"""Areas under the ROC curve: by hand, as scikit-learn and DeLong have them, covering; differences and curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statistics_helpers import SETS, at_least, at_most, of_patients

from detector.statistics import auc, intervals
from detector.statistics.auc import Scores, auc_difference, roc_auc, roc_curve, weighted_auc
from detector.statistics.strata import crossed


def difference(scores, truth, who, seed, folds=None):
    """Return the difference of two areas, by default of one model each."""
    folds = np.zeros(scores[0].shape, int) if folds is None else folds
    return auc_difference(*(Scores(one, truth, who, folds) for one in scores), seed)


# Strata, folds, patients


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 999), st.integers(1, 4))
def test_areas_within_strata_are_van_elterens(seed, count):
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(seed)
    scores, truth = generator.integers(0, 6, 60).astype(float), generator.random(60) < 0.4
    strata = generator.integers(0, count, 60).astype(str)
    won = total = 0.0
    for name in set(strata):
        rows = strata == name
        p, q = truth[rows].sum(), (~truth[rows]).sum()
        if p and q:
            share = p * q / (p + q + 1)
            won, total = won + share * roc_auc_score(truth[rows], scores[rows]), total + share
    found = weighted_auc(scores, truth, np.ones((1, 60)), strata)[0]
    assert (np.isnan(found) and not total) or found == pytest.approx(won / total)
    if total:
        area, _ = auc.influence(scores, truth, np.arange(60), strata.astype(int))
        assert area == pytest.approx(found)


def test_the_variance_is_delongs_where_each_patient_has_an_image():
    """Placements' variances by class, over their counts: DeLong, DeLong and Clarke-Pearson, equation 5."""
    generator = np.random.default_rng(4)
    truth = np.arange(70) < 30
    scores = generator.normal(size=70) + truth
    _, influence = auc.influence(scores, truth, np.arange(70), np.zeros(70, int))
    wins = (scores[truth][:, None] > scores[~truth]).astype(float)
    expected = wins.mean(1).var(ddof=1) / 30 + wins.mean(0).var(ddof=1) / 40
    assert (influence**2).sum() == pytest.approx(expected)


def test_a_shift_between_sites_does_not_count_within_them():
    generator = np.random.default_rng(0)
    truth = generator.random(300) < 0.5
    site = np.where(generator.random(300) < np.where(truth, 0.8, 0.2), "a", "b")
    scores = (generator.normal(0, 1, 300) + 5.0 * (site == "a"))[None]
    people = np.arange(300)
    assert roc_auc(scores, truth, people).value > 0.75
    within = roc_auc(scores, truth, people, crossed(site))
    assert within.ci_low < 0.5 < within.ci_high
    apart = roc_auc(scores, truth, people, crossed(np.where(truth, "a", "b")))
    assert apart.reason == "too few comparable images (0 and 0; 10 of each needed)"
    unknown = roc_auc(scores, truth, people, crossed(np.full(300, "")))
    assert not unknown.available, "images of unknown site are not comparable with each other"


def test_scores_of_two_models_are_not_compared():
    """Each fold's model has an offset of its own: pooled, the classes seem to be separated worse than they are."""
    truth, folds = np.arange(80) % 2 == 0, np.repeat(np.arange(4), 20)
    scores = truth + 10.0 * folds
    assert roc_auc(scores[None], truth, np.arange(80), folds=folds).value == 1.0
    assert roc_auc(scores[None], truth, np.arange(80)).value < 0.7


def test_repeats_that_compare_other_images_do_not_add_up():
    """Of 40 v 40 images each repeat compares others: the interval is not that of all of them together."""
    generator, truth = np.random.default_rng(0), np.arange(80) < 40
    folds = np.stack([generator.permutation(80) % 5 for _ in range(5)])
    scores = np.repeat(truth[None].astype(float), 5, axis=0)
    strata = generator.permutation(80) % 10
    found = roc_auc(scores, truth, np.arange(80), crossed(strata, folds))
    assert found.value == 1.0
    assert found.n_patients == found.n_positive + found.n_negative < 80
    few = np.arange(found.n_patients) < found.n_positive
    alone = roc_auc(few[None].astype(float), few, np.arange(found.n_patients))
    assert found.ci_low == pytest.approx(alone.ci_low), "five repeats are no more patients than one"


def test_a_perfect_area_is_not_certain():
    scores, truth = np.arange(40.0)[None], np.arange(40) > 19
    area = roc_auc(scores, truth, np.arange(40))
    assert area.value == area.ci_high == 1.0
    assert 0.75 < area.ci_low < 0.95
    pairs = roc_auc(scores, truth, np.arange(40) // 2)
    assert pairs.ci_low < area.ci_low, "half as many patients show less"
    assert (pairs.n_patients, area.n_patients) == (20, 40)


def test_a_metric_that_is_not_available_has_a_reason():
    scores, truth = np.arange(40.0)[None], np.arange(40) > 30
    assert roc_auc(scores, truth, np.arange(40)).reason == "too few images (9 and 31; 10 of each needed)"
    one = roc_auc(scores, np.arange(40) > 19, np.where(np.arange(40) > 19, 0, np.arange(40) + 1))
    assert one.reason == "all images of a class are of one patient"
    assert difference((scores, -scores), truth, np.arange(40), 0).reason.startswith("too few images (9 and 31;")


# Coverage


@pytest.mark.parametrize("repeats", [1, 3])
def test_intervals_within_strata_of_few_images_cover(repeats):
    """As the border-adjusted area is: within folds and deciles, 40 v 40 patients, most strata with one of a class."""
    generator, covered, area = np.random.default_rng(repeats), 0, 0.8
    truth, shift = np.arange(80) < 40, np.sqrt(2) * norm.ppf(area)
    for _ in range(SETS):
        scores = generator.normal(size=80) + shift * truth
        folds = np.stack([generator.permutation(80) % 5 for _ in range(repeats)])
        strata = crossed(generator.permutation(80) % 10, folds)
        found = roc_auc(np.repeat(scores[None], repeats, axis=0), truth, np.arange(80), strata)
        covered += not found.available or found.ci_low <= area <= found.ci_high
    assert covered / SETS >= at_least(SETS)


@pytest.mark.parametrize("images", [1, 3, 10, np.where(np.arange(60) % 30, 1, 30)], ids=str)
@pytest.mark.parametrize("area", [0.5, 0.76, 0.9])
def test_intervals_are_over_patients(images, area):
    """Two normals whose area is known; images of a patient correlate with 0.6; one may have half of a class's."""
    generator, covered, shift = np.random.default_rng(round(100 * area)), 0, np.sqrt(2) * norm.ppf(area)
    for _ in range(SETS):
        noise, who = of_patients(generator, 60, images)
        truth = who < 30
        found = roc_auc((noise + shift * truth)[None], truth, who)
        covered += found.ci_low <= area <= found.ci_high
    assert at_least(SETS) <= covered / SETS
    assert np.ndim(images) or covered / SETS <= at_most(SETS)


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


@pytest.fixture
def fewer_draws(monkeypatch):
    """Draw 400 times instead of 2,000: what hundreds of data sets need."""
    monkeypatch.setattr(intervals, "RESAMPLES", 400)


def two_classifiers(generator, areas, patients, images=1, shared=0.5):
    """Two scores (1, n) of images of as many patients a class, correlated, whose true areas are known."""
    (common, who), *own = (of_patients(generator, 2 * patients, images) for _ in range(3))
    truth = who < patients
    mixed = (np.sqrt(shared) * common + np.sqrt(1 - shared) * noise for noise, _ in own)
    shifts = (np.sqrt(2) * norm.ppf(area) for area in areas)
    first, second = ((noise + shift * truth)[None] for noise, shift in zip(mixed, shifts, strict=True))
    return (first, second), truth, who


def test_it_is_the_difference_of_both_areas_in_folds_and_repeats():
    generator = np.random.default_rng(1)
    truth, who = np.arange(80) % 2 == 0, np.arange(80)
    folds = generator.integers(0, 4, (3, 80))
    # Each fold's model has an offset of its own, as in a cross-validation.
    scores = tuple(generator.normal(size=(3, 80)) + strength * truth + 20.0 * folds for strength in (1.5, 0.5))
    found = difference(scores, truth, who, 0, folds)
    first, second = (roc_auc(one, truth, who, folds=folds) for one in scores)
    assert found.value == pytest.approx(first.point - second.point, abs=1e-9)
    assert (found.n_positive, found.n_negative, found.n_patients) == (40, 40, 80)
    swapped = difference(scores[::-1], truth, who, 0, folds)
    assert swapped.value == -found.value
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=0.01)


def test_equal_scores_differ_by_exactly_nothing():
    (first, _), truth, who = two_classifiers(np.random.default_rng(3), (0.7, 0.7), 20)
    found = difference((first, first.copy()), truth, who, 0)
    assert (found.value, found.ci_low, found.ci_high) == (0.0, None, None)


def test_two_perfect_classifiers_are_not_shown_to_be_equal():
    truth = np.arange(40) > 19
    scores = np.arange(40.0)[None], np.where(truth, 2.0, 1.0)[None]
    found = difference(scores, truth, np.arange(40), 0)
    assert found.value == 0.0
    assert -0.25 < found.low < -0.05 and 0.05 < found.high < 0.25
    other = np.arange(40.0) % 20 + truth  # 0.5 and a little
    one = difference((scores[0], other[None]), truth, np.arange(40), 0)
    assert 0 < one.low < one.point < one.high <= 1.0


# Coverage


@pytest.mark.parametrize(
    ("patients", "images", "areas", "sets"),
    [(12, 1, (0.8, 0.8), 200), (12, 3, (0.7, 0.7), 200), (120, 1, (0.85, 0.75), 30)],
)
def test_a_difference_is_covered_and_one_of_a_tenth_is_found(fewer_draws, patients, images, areas, sets):
    generator, covered, clear = np.random.default_rng([patients, images]), 0, 0
    for seed in range(sets):
        scores, truth, who = two_classifiers(generator, areas, patients, images)
        found = difference(scores, truth, who, seed)
        covered += found.low <= areas[0] - areas[1] <= found.high
        clear += found.low > 0
    assert at_least(sets) <= covered / sets
    assert areas[0] == areas[1] or clear >= 24


def test_of_scores_out_of_fold_the_interval_covers_what_refitting_adds(fewer_draws):
    """Ridge regression on noise, five folds: neither of two feature sets is better."""
    generator, covered, sets, n = np.random.default_rng(7), 0, 120, 60
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
        found = difference(tuple(scores), truth, np.arange(n), seed, folds)
        covered += found.low <= 0 <= found.high
    assert covered / sets >= at_least(sets)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.integers(1, 3), st.integers(1, 5), st.sampled_from([3, 10, 10**6]))
def test_the_area_under_the_curve_is_the_mean_area_within_folds(seed, repeats, count, values):
    """With few values there are ties, which the curve crosses diagonally."""
    generator = np.random.default_rng(seed)
    truth = generator.random(60) < 0.4
    scores = generator.integers(0, values, (repeats, 60)) + 0.3 * values * truth
    folds = np.stack([generator.permutation(60) % count for _ in range(repeats)])
    found = np.mean(
        [
            weighted_auc(one, truth, np.ones((1, 60)), own)[0]
            for one, own in zip(scores, folds, strict=True)
            if any(0 < truth[own == fold].mean() < 1 for fold in range(count))
        ]
    )
    false, true = roc_curve(scores, truth, folds)
    assert np.trapezoid(true, false) == pytest.approx(found, abs=1e-9)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, pytest.approx(1))
    assert (np.diff(false) >= 0).all() and (np.diff(true) >= -1e-12).all()
    area = roc_auc(scores, truth, np.arange(60), folds=folds)
    assert not area.available or area.value == pytest.approx(found)
