"""The loop over folds: predictions of images that no head had seen, and operating points chosen without them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audit_helpers import RidgeRecipe
from conftest import classes, inside, rejected, rejection

from detector.cli.output import Log
from detector.datasets.dataset import Dataset, Image
from detector.statistics.evaluation import evaluate
from detector.statistics.split import FoldPlan, draw_folds
from detector.training import crossvalidation
from detector.training.crossvalidation import (
    evaluate_recipe,
    inner_threshold,
    leave_sites_out,
    site_plans,
    threshold_for,
)
from detector.training.dataset import FeatureSet
from detector.training.options import OutcomeOptions
from detector.training.recipes import TutorialRecipe

TARGET = "--target-sensitivity"
RIDGE = RidgeRecipe()


def samples(shift: float, n: int = 60, width: int = 512) -> FeatureSet:
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 2
    features = (generator.normal(0, 1, (n, width)) + shift * labels[:, None]).astype(np.float32)
    patients = np.array([f"p{i // 4}-{i % 2}" for i in range(n)])
    return FeatureSet(
        features[:, None], features, labels, patients, patients, np.full(n, ""), ["covid", "normal"], [{}] * n
    )


def plan_of(case: FeatureSet, repeats: int = 1) -> FoldPlan:
    return draw_folds(case.labels, case.groups, case.classes, 3, repeats, 0)


def test_cross_validation_finds_what_is_there_and_nothing_else():
    for shift, low, high in ((0.3, 0.9, 1.0), (0.0, 0.25, 0.75)):
        case = samples(shift, width=64)
        found = crossvalidation.out_of_fold(case, 0, RIDGE, plan_of(case, 2))
        result = evaluate(found.predictions, case.classes, 0)
        assert low <= result.roc_auc.value <= high
        assert result.roc_auc.ci_low <= result.roc_auc.value <= result.roc_auc.ci_high


def test_a_hold_out_is_a_plan_of_one_fold():
    """The model that is saved is the one that was evaluated, and nothing of the test images is in it."""
    case = samples(0.1)
    sides = np.arange(40), np.arange(40, 60)
    seen: list[dict[str, float]] = []

    def run(given: FeatureSet):
        plan, point = FoldPlan([[sides]], 7), OutcomeOptions(threshold=0.4)
        follow = lambda epoch, metrics: seen.append(metrics)  # noqa: E731
        return evaluate_recipe(given, 0, TutorialRecipe(epochs=2), plan, point, Log(True), follow)

    found = run(case)
    assert found.train.tolist() == sides[0].tolist() and found.held_out.tolist() == sides[1].tolist()
    assert found.predictions.probabilities.shape == (1, 20, 2) and (found.threshold, found.thresholds) == (0.4, [])
    assert len(seen) == 2 and "val_loss" in seen[0]
    assert np.array_equal(found.predictions.probabilities[0], case.predict_proba(found.head, sides[1]).astype(float))
    features = case.features.copy()
    features[sides[1]] = 5.0
    assert np.array_equal(run(replace(case, features=features)).head.weights[0], found.head.weights[0])


def test_a_cross_validation_saves_a_head_fitted_to_all_images():
    case = samples(0.1, width=8)
    found = evaluate_recipe(case, 0, RIDGE, plan_of(case, 2), OutcomeOptions(target_sensitivity=0.9), Log(True), print)
    assert len(found.train) == len(found.held_out) == 60 and len(found.thresholds) == 6
    assert np.array_equal(found.head.weights[0], case.fit(np.arange(60), RIDGE, 0).weights[0])
    scores = found.predictions.probabilities[0][:, 0]
    assert found.threshold == threshold_for(0.9, scores, case.labels == 0)


def test_the_threshold_is_chosen_without_the_images_it_is_judged_by():
    """Changing what a fold is judged by changes nothing about its threshold."""
    case, point = samples(0.1, width=8), OutcomeOptions(target_sensitivity=0.9)
    plan = plan_of(case)
    first = crossvalidation.out_of_fold(case, 0, RIDGE, plan, point)
    _, held_out = plan.repeats[0][0]
    # The copies that heads are trained on stay as they are.
    shifted = case.features.copy()
    shifted[held_out] += 3.0
    again = crossvalidation.out_of_fold(replace(case, features=shifted), 0, RIDGE, plan, point)
    assert again.thresholds[0] == first.thresholds[0]
    assert again.thresholds[1:] != first.thresholds[1:]


def test_a_threshold_needs_three_training_patients_of_each_class():
    case = samples(0.1, n=12)
    pairs = replace(case, groups=np.array([f"p{i % 4}" for i in range(12)]))
    with rejection("--target-sensitivity chooses the threshold in 3 folds of the training images"):
        inner_threshold(pairs, np.arange(12), 0, 0.9, RIDGE, 0)


def test_the_threshold_reaches_the_sensitivity_and_asks_for_no_image_too_many():
    scores, truth = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.1]), np.array([True, True, True, True, False, False])
    for wanted, expected in ((0.5, 0.8), (0.75, 0.7), (0.9, 0.2)):
        assert threshold_for(wanted, scores, truth) == expected
    for hundredths in range(1, 100):  # 0.56 × 25 is a little above 14 in floating point
        found = threshold_for(hundredths / 100, np.arange(25, 0, -1) / 25, np.ones(25, bool))
        assert round(25 * (1 - found)) + 1 == -(-hundredths * 25 // 100)


@pytest.mark.parametrize(
    ("labels", "sites", "patients", "said"),
    [
        ([0, 1], "ab", "12", "no site holds both covid and another class"),
        ([0, 1, 0], "aab", "123", "without the patients of a no normal is left to train on"),
        # The second normal is of the first's patient.
        ([0, 1, 0, 1], "aabb", "1232", "without the patients of a no normal is left to train on"),
    ],
)
def test_a_site_without_which_a_class_is_missing_is_rejected(labels, sites, patients, said):
    names = ["covid", "normal"]
    images = [
        Image(Path(f"{i}"), f"{i}", names[label], None, site, site, {})
        for i, (label, site) in enumerate(zip(labels, sites, strict=True))
    ]
    with rejection(said):
        site_plans(SimpleNamespace(dataset=Dataset(images, names), patients=np.array(list(patients))), 0, 0)


def test_the_operating_point_holds_at_a_site_that_is_left_out():
    """A threshold as given, and one that is chosen for a sensitivity on the other sites."""
    labels, where = np.arange(80) % 2, np.where(np.arange(80) < 40, "a", "b")
    features = (np.random.default_rng(0).normal(size=(80, 4)) + (labels == 0)[:, None]).astype(np.float32)
    who = np.arange(80).astype(str)
    case = FeatureSet(features[:, None], features, labels, who, who, where, ["covid", "normal"], [{}] * 80)
    plans = {"a": FoldPlan([[(np.arange(40, 80), np.arange(40))]], 0)}

    def left_out(**point):
        return leave_sites_out(case, 0, RIDGE, plans, OutcomeOptions(**point))["a"]

    likeliest, strict, certain = left_out(), left_out(threshold=0.9), left_out(threshold=0.0)
    assert strict.sensitivity.value < likeliest.sensitivity.value < certain.sensitivity.value == 1.0
    assert strict.specificity.value > likeliest.specificity.value > certain.specificity.value == 0.0
    chosen, low = left_out(target_sensitivity=0.99), left_out(target_sensitivity=0.3)
    assert low.sensitivity.value < likeliest.sensitivity.value < chosen.sensitivity.value
    assert likeliest.roc_auc == strict.roc_auc == chosen.roc_auc


def test_folds_in_the_script(tmp_path):
    classes(tmp_path / "data", covid=6, normal=6)
    arguments = ("-d", "data", "--epochs", 2, "--rotations", 0, "--folds", 3, "--no-report")
    done = inside("train_covid19.py", *arguments, TARGET, 0.8, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one of each fold" in done.stdout and "saved threshold: " in done.stdout
    written = json.loads((tmp_path / "covid19.json").read_text())
    assert len(written["train"]) == len(written["held_out"]) == 12
    assert np.sum(written["metrics"]["confusion"]) == 12
    assert "val_loss" not in written["history"]
    rejected(inside("train_covid19.py", "-d", "data", "--folds", 20, cwd=tmp_path), "too few for 20 folds")
