"""The band around the ROC curve."""

from __future__ import annotations

import numpy as np
from statistics_helpers import of_patients

from detector.statistics.roc_band import roc_band


def test_the_roc_band_surrounds_the_curve_and_is_over_patients():
    from sklearn.metrics import roc_curve

    noise, who = of_patients(np.random.default_rng(0), 60, 5)
    truth = who < 30
    scores = noise + 1.0 * truth
    grid, low, high = roc_band(scores, truth, who, 0)
    false_rate, true_rate, _ = roc_curve(truth, scores)
    inside = true_rate[np.searchsorted(false_rate, grid, side="right") - 1]
    assert (low <= high).all() and ((low <= inside + 0.01) & (inside <= high + 0.01)).mean() > 0.95
    _, narrow, wide = roc_band(scores, truth, np.arange(len(who)), 0)
    assert np.mean(wide - narrow) < 0.7 * np.mean(high - low)
