"""Cross-validation and operating points chosen inside it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import classes, inside, rejected, rejection, script

from detector.network import head
from detector.statistics.evaluation import evaluate
from detector.statistics.split import draw_folds
from detector.training import crossvalidation
from detector.training.crossvalidation import OperatingPoint
from detector.training.dataset import FeatureSet
from detector.training.recipes import TutorialRecipe

TARGET = "--target-sensitivity"


def samples(shift: float, seed: int = 0, n: int = 60) -> FeatureSet:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    features = (generator.normal(0, 1, (n, 512)) + shift * labels[:, None]).astype(np.float32)
    patients = np.array([f"p{i // 4}-{i % 2}" for i in range(n)])
    strata = np.full(n, "")
    return FeatureSet(features[:, None], features, labels, patients, strata, ["covid", "normal"], [{}] * n)


def plan_of(case: FeatureSet, repeats: int = 1):
    return draw_folds(case.labels, case.groups, case.classes, 3, repeats, 0)


def test_cross_validation_finds_what_is_there_and_nothing_else():
    recipe = TutorialRecipe(head.Hyperparameters(epochs=6))
    for shift, low, high in ((0.3, 0.9, 1.0), (0.0, 0.25, 0.75)):
        case = samples(shift)
        found = crossvalidation.out_of_fold(case, 0, recipe, plan_of(case, 2))
        result = evaluate(found.predictions, case.classes, 0)
        assert low <= result.roc_auc.value <= high
        assert result.roc_auc.ci_low <= result.roc_auc.value <= result.roc_auc.ci_high


def test_the_threshold_is_chosen_without_the_images_it_is_judged_by():
    """Changing what a fold is judged by changes nothing about its threshold."""
    case, recipe = samples(0.1), TutorialRecipe(head.Hyperparameters(epochs=4))
    plan, point = plan_of(case), OperatingPoint(sensitivity=0.9)
    first = crossvalidation.out_of_fold(case, 0, recipe, plan, point)
    _, held_out = plan.repeats[0][0]
    # The copies that heads are trained on stay as they are.
    shifted = case.features.copy()
    shifted[held_out] += 3.0
    again = crossvalidation.out_of_fold(replace(case, features=shifted), 0, recipe, plan, point)
    assert again.thresholds[0] == first.thresholds[0]
    assert again.thresholds[1:] != first.thresholds[1:]


def test_a_threshold_needs_three_training_patients_of_each_class():
    case = samples(0.1, n=12)
    pairs = replace(case, groups=np.array([f"p{i % 4}" for i in range(12)]))
    with rejection("--target-sensitivity chooses the threshold in 3 folds of the training images"):
        crossvalidation.inner_threshold(pairs, 0, 0.9, TutorialRecipe(head.Hyperparameters(epochs=1)), 0)


def test_the_threshold_reaches_the_sensitivity():
    scores, truth = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.1]), np.array([True, True, True, True, False, False])
    for wanted, expected in ((0.5, 0.8), (0.75, 0.7), (0.9, 0.2)):
        assert crossvalidation.threshold_for(wanted, scores, truth) == expected


@pytest.mark.parametrize("hundredths", range(1, 100))
def test_no_threshold_asks_for_one_image_too_many(hundredths):
    """0.56 × 25 is a little above 14 in floating point."""
    scores = np.arange(25, 0, -1) / 25
    found = crossvalidation.threshold_for(hundredths / 100, scores, np.ones(25, bool))
    assert round(25 * (1 - found)) + 1 == -(-hundredths * 25 // 100)


def test_folds_in_the_script(tmp_path):
    classes(tmp_path / "data", covid=6, normal=6)
    arguments = ("-d", "data", "--epochs", 2, "--rotations", 0, "--folds", 3, "--repeats", 2, "--no-report")
    done = inside("train_covid19.py", *arguments, TARGET, 0.8, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one of each fold" in done.stdout and "saved threshold: " in done.stdout
    written = json.loads((tmp_path / "covid19.json").read_text())
    assert len(written["train"]) == len(written["held_out"]) == 12
    assert np.sum(written["metrics"]["confusion"]) == 12
    assert "val_loss" not in written["history"]
    rejected(inside("train_covid19.py", "-d", "data", "--folds", 20, cwd=tmp_path), "too few for 20 folds")
    both = script("train_covid19.py", "-d", "data", "--threshold", 0.4, TARGET, 0.9, cwd=tmp_path)
    rejected(both, TARGET, "--threshold")
