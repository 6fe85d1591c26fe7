"""The metrics of a run: each compares images that one model scored, at the prevalence that they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, outcome_of

from detector.audit import metrics
from detector.statistics.probabilities import BRIER, IN_THE_LARGE

TRUTH, FOLDS = np.arange(40) % 2 == 0, (np.arange(40) // 2 % 2)[None]
# Every fold separates the classes, each on a scale of its own.
SCORES = (np.where(TRUTH, 0.3, 0.2) + 0.4 * FOLDS[0])[None]


def test_images_of_different_folds_are_not_compared():
    scored = metrics.ScoredImages(SCORES, TRUTH, np.arange(40), np.full(40, "a"), FOLDS)
    assert scored.auc().value == metrics.stratified(scored).value == 1.0
    assert replace(scored, folds=0 * FOLDS).auc().value < 1.0


def test_balanced_probabilities_are_judged_at_the_prevalence_of_the_images():
    """One image in ten is positive; the scores are the true probabilities, had both classes been equally frequent."""
    extractor = extractor_of(Case((40, 360)))
    truth = extractor.dataset.labels == 0
    x = np.random.default_rng(0).normal(size=400) + 1.5 * truth
    evaluated = outcome_of(extractor, 1 / (1 + np.exp(-(1.5 * x - 1.5**2 / 2))))
    balanced, plain = (
        metrics.compute_metrics(extractor, evaluated, metrics.MetricSettings(0, 0, one)) for one in (True, False)
    )
    assert balanced[IN_THE_LARGE].low < 0 < balanced[IN_THE_LARGE].high
    assert plain[IN_THE_LARGE].value == pytest.approx(np.log(1 / 9), abs=0.4) and plain[IN_THE_LARGE].high < -1
    # What the Brier score is compared with: that of always predicting the prevalence.
    assert balanced[BRIER].value < 0.1 * 0.9 < plain[BRIER].value
