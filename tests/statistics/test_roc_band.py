"""The ROC curve and the band around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statistics_helpers import of_patients

from detector.statistics.auc import auc, roc_auc, roc_band, roc_curve, weighted_auc


def one_model(scores):
    return scores[None], np.zeros((1, len(scores)), int)


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


def test_the_curve_of_one_model_is_that_of_scikit_learn():
    from sklearn.metrics import roc_curve as expected

    generator = np.random.default_rng(3)
    truth = generator.random(80) < 0.5
    scores = generator.integers(0, 9, 80) + 2.0 * truth
    values, folds = one_model(scores)
    false, true = roc_curve(values, truth, folds)
    for at, sensitivity in zip(*expected(truth, scores, drop_intermediate=False)[:2], strict=True):
        step = true[np.abs(false - at) < 1e-9]
        assert step.min() - 1e-9 <= sensitivity <= step.max() + 1e-9
    assert np.trapezoid(true, false) == pytest.approx(auc(scores[truth], scores[~truth]))


def test_folds_of_different_offsets_are_not_ranked_together():
    truth, folds = np.arange(80) % 2 == 0, np.repeat(np.arange(4), 20)
    false, true = roc_curve((truth + 10.0 * folds)[None], truth, folds[None])
    assert np.trapezoid(true, false) == 1.0


def test_a_fold_of_one_class_has_no_curve():
    truth, folds = np.arange(20) < 10, (np.arange(20) // 10)[None]
    assert [len(one) for one in roc_curve(np.arange(20.0)[None], truth, folds)] == [0, 0]


def test_the_roc_band_surrounds_the_curve_and_is_over_patients():
    noise, who = of_patients(np.random.default_rng(0), 60, 5)
    truth = who < 30
    scores, folds = one_model(noise + 1.0 * truth)
    grid, low, high = roc_band(scores, truth, who, folds, 0)
    false, true = roc_curve(scores, truth, folds)
    inside = true[np.searchsorted(false, grid + 1e-9, side="right") - 1]
    assert (low <= high).all() and (np.diff(low) >= 0).all() and (np.diff(high) >= 0).all()
    assert ((low <= inside + 1e-9) & (inside <= high + 1e-9)).all()
    _, narrow, wide = roc_band(scores, truth, np.arange(len(who)), folds, 0)
    assert np.mean(wide - narrow) < 0.7 * np.mean(high - low)


def test_the_band_of_out_of_fold_scores_is_as_much_wider_as_the_areas_interval():
    generator, truth = np.random.default_rng(0), np.arange(100) < 50
    scores = (generator.normal(size=100) + 0.3 * truth)[None]
    one, other = (roc_band(scores, truth, np.arange(100), (np.arange(100) % count)[None], 0) for count in (1, 2))
    assert 1.2 < np.mean(other[2] - other[1]) / np.mean(one[2] - one[1]) < 1.6


@pytest.mark.parametrize("sign", [1, -1])
def test_separated_classes_and_few_images_have_no_band(sign):
    truth = np.arange(40) < 20
    scores, folds = one_model(sign * truth.astype(float))
    assert roc_band(scores, truth, np.arange(40), folds, 0) is None
    few = np.arange(12) < 6
    scores, folds = one_model(np.random.default_rng(0).random(12))
    assert roc_band(scores, few, np.arange(12), folds, 0) is None
