"""A second recipe on the images, folds and repeats of a run."""

from __future__ import annotations

import numpy as np

from detector.network import probe
from detector.statistics.auc import auc_difference
from detector.statistics.split import draw_folds
from detector.training import crossvalidation
from detector.training.dataset import FeatureSet
from detector.training.recipes import ProbeRecipe


def test_a_recipe_compared_with_itself_differs_by_nothing(monkeypatch):
    monkeypatch.setattr(probe, "MOST_REPEATS", 1)
    generator, n = np.random.default_rng(0), 60
    labels, who = np.arange(n) % 2, np.arange(n).astype(str)
    features = (generator.normal(size=(n, 20)) + 0.5 * labels[:, None]).astype(np.float32)
    case = FeatureSet(features[:, None], features, labels, who, np.full(n, ""), ["covid", "normal"], [{}] * n)
    plan = draw_folds(labels, who, case.classes, 2, 1, 0)
    first, second = (crossvalidation.out_of_fold(case, 0, ProbeRecipe(), plan).predictions for _ in range(2))
    scores = first.probabilities[..., 0], second.probabilities[..., 0]
    found = auc_difference(scores, labels == 0, who, 0, first.folds)
    assert (found.value, found.ci_low, found.ci_high) == (0.0, None, None)
