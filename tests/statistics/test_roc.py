"""Areas under the ROC curve: by hand, as published, as other libraries compute them, and covering what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statistics_helpers import SETS, at_least, at_most, of_patients

from detector.statistics import auc
from detector.statistics.strata import crossed


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_auc_counts_pairs(positive, negative):
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auc.auc(np.array(positive, float), np.array(negative, float)) == pytest.approx(np.mean(pairs))


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
    found = auc.weighted_auc(scores, truth, np.ones((1, 60)), strata)[0]
    assert (np.isnan(found) and not total) or found == pytest.approx(won / total)
    area, influence = auc.influence(scores, truth, strata) if total and _both(truth, strata) else (found, np.zeros(1))
    assert (np.isnan(found) and np.isnan(area)) or area == pytest.approx(found)
    assert influence.sum() == pytest.approx(0)


def _both(truth, strata):
    return all(0 < truth[strata == name].mean() < 1 for name in set(strata))


def test_the_variance_is_delongs_where_each_patient_has_an_image():
    """Placements' variances by class, over their counts: DeLong, DeLong and Clarke-Pearson, equation 5."""
    generator = np.random.default_rng(4)
    truth = np.arange(70) < 30
    scores = generator.normal(size=70) + truth
    _, influence = auc.influence(scores, truth)
    wins = (scores[truth][:, None] > scores[~truth]).astype(float)
    expected = wins.mean(1).var(ddof=1) / 30 + wins.mean(0).var(ddof=1) / 40
    found = 30 / 29 * (influence[truth] ** 2).sum() + 40 / 39 * (influence[~truth] ** 2).sum()
    assert found == pytest.approx(expected)


def test_a_shift_between_sites_does_not_count_within_them():
    generator = np.random.default_rng(0)
    truth = generator.random(300) < 0.5
    site = np.where(generator.random(300) < np.where(truth, 0.8, 0.2), "a", "b")
    scores = (generator.normal(0, 1, 300) + 5.0 * (site == "a"))[None]
    people = np.arange(300)
    assert auc.roc_auc(scores, truth, people).value > 0.75
    within = auc.roc_auc(scores, truth, people, crossed(site))
    assert within.ci_low < 0.5 < within.ci_high
    apart = auc.roc_auc(scores, truth, people, crossed(np.where(truth, "a", "b")))
    assert apart.reason == "0 v 0 comparable images; at least 10 v 10 needed"
    unknown = auc.roc_auc(scores, truth, people, crossed(np.full(300, "")))
    assert not unknown.available, "images of unknown site are not comparable with each other"


def test_scores_of_two_models_are_not_compared():
    """Each fold's model has an offset of its own: pooled, the classes seem to be separated worse than they are."""
    truth, folds = np.arange(80) % 2 == 0, np.repeat(np.arange(4), 20)
    scores = truth + 10.0 * folds
    assert auc.roc_auc(scores[None], truth, np.arange(80), folds=folds).value == 1.0
    assert auc.roc_auc(scores[None], truth, np.arange(80)).value < 0.7


def test_repeats_that_compare_other_images_do_not_add_up():
    """Of 40 v 40 images each repeat compares others: the interval is not that of all of them together."""
    generator, truth = np.random.default_rng(0), np.arange(80) < 40
    folds = np.stack([generator.permutation(80) % 5 for _ in range(5)])
    scores = np.repeat(truth[None].astype(float), 5, axis=0)
    strata = generator.permutation(80) % 10
    found = auc.roc_auc(scores, truth, np.arange(80), crossed(strata, folds))
    assert found.value == 1.0
    assert found.n_patients == found.n_positive + found.n_negative < 80
    few = np.arange(found.n_patients) < found.n_positive
    alone = auc.roc_auc(few[None].astype(float), few, np.arange(found.n_patients))
    assert found.ci_low == pytest.approx(alone.ci_low), "five repeats are no more patients than one"


def test_a_perfect_area_is_not_certain():
    scores, truth = np.arange(40.0)[None], np.arange(40) > 19
    area = auc.roc_auc(scores, truth, np.arange(40))
    assert area.value == area.ci_high == 1.0
    assert 0.75 < area.ci_low < 0.95
    pairs = auc.roc_auc(scores, truth, np.arange(40) // 2)
    assert pairs.ci_low < area.ci_low, "half as many patients show less"
    assert (pairs.n_patients, area.n_patients) == (20, 40)


def test_a_metric_that_is_not_available_has_a_reason():
    scores, truth = np.arange(40.0)[None], np.arange(40) > 30
    assert auc.roc_auc(scores, truth, np.arange(40)).reason == "9 v 31 images; at least 10 v 10 needed"
    one = auc.roc_auc(scores, np.arange(40) > 19, np.where(np.arange(40) > 19, 0, np.arange(40) + 1))
    assert one.reason == "all images of a class are of one patient"


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
        found = auc.roc_auc(np.repeat(scores[None], repeats, axis=0), truth, np.arange(80), strata)
        covered += not found.available or found.ci_low <= area <= found.ci_high
    assert covered / SETS >= at_least(SETS)


@pytest.mark.parametrize("images", [1, 3, 10])
@pytest.mark.parametrize("area", [0.5, 0.76, 0.9])
def test_intervals_are_over_patients(images, area):
    """Two normals whose area is known; images of a patient correlate with 0.6."""
    generator, covered, shift = np.random.default_rng([images, round(100 * area)]), 0, np.sqrt(2) * norm.ppf(area)
    for _ in range(SETS):
        noise, who = of_patients(generator, 60, images)
        truth = who < 30
        found = auc.roc_auc((noise + shift * truth)[None], truth, who)
        covered += found.ci_low <= area <= found.ci_high
    assert at_least(SETS) <= covered / SETS <= at_most(SETS)


@pytest.mark.parametrize("area", [0.5, 0.8, 0.96])
def test_a_patient_with_half_of_the_images_is_one_patient(area):
    """One of 20 patients of each class has 20 images, the others one each; images of a patient correlate with 0.6."""
    generator, covered, shift = np.random.default_rng(round(100 * area)), 0, np.sqrt(2) * norm.ppf(area)
    for _ in range(SETS):
        noise, who = of_patients(generator, 40, np.where(np.arange(40) % 20, 1, 20))
        truth = who < 20
        found = auc.roc_auc((noise + shift * truth)[None], truth, who)
        covered += found.ci_low <= area <= found.ci_high
    assert covered / SETS >= at_least(SETS)
