"""A second recipe on the images, folds and repeats of a run."""

from __future__ import annotations

import numpy as np
from audit_helpers import RidgeRecipe

from detector.cli.output import Log
from detector.statistics.split import draw_folds
from detector.training.comparison import compare
from detector.training.crossvalidation import evaluate_recipe
from detector.training.dataset import FeatureSet
from detector.training.options import OperatingPoint


def test_a_recipe_compared_with_itself_differs_by_nothing():
    generator, n, recipe = np.random.default_rng(0), 60, RidgeRecipe()
    labels, who = np.arange(n) % 2, np.arange(n).astype(str)
    features = (generator.normal(size=(n, 20)) + 0.5 * labels[:, None]).astype(np.float32)
    case = FeatureSet(features[:, None], features, labels, who, np.full(n, ""), ["covid", "normal"], [{}] * n)
    plan = draw_folds(labels, who, case.classes, 2, 2, 0)
    evaluated = evaluate_recipe(case, 0, recipe, plan, OperatingPoint(), Log(True), print)
    found = compare(case, (recipe, recipe), 0, plan, evaluated)
    assert found.compared_with == "ridge:blocks" and found.compared_roc_auc == found.roc_auc
    assert (found.difference.value, found.difference.ci_low, found.is_clear) == (0.0, None, False)
