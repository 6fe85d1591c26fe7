"""Steps of a training run: images, split, the loop over folds and its operating points, model and Grad-CAM."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audit_helpers import CLASSES, Case, RidgeRecipe, extractor_of
from conftest import classes, inside, rejected, rejection

from detector.cli.output import Log
from detector.datasets import manifest
from detector.datasets.dataset import Dataset, Image
from detector.files.cache import Cache
from detector.network import runtime
from detector.network.head import TrainedHead
from detector.statistics.evaluation import Predictions, evaluate
from detector.statistics.split import FoldPlan, draw_folds
from detector.training import crossvalidation
from detector.training.crossvalidation import (
    EvaluatedHead,
    evaluate_recipe,
    inner_threshold,
    leave_sites_out,
    site_plans,
    threshold_for,
)
from detector.training.dataset import FeatureExtractor, FeatureSet
from detector.training.options import OutcomeOptions, TrainingOptions
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


def test_images_of_one_patient_stay_on_one_side():
    extractor = extractor_of(Case((12, 12), images=3))
    kind, plan = crossvalidation.choose_split(TrainingOptions(test_size=0.25), extractor)
    assert kind == "patient" and len(plan) == 1
    train, held_out = (set(extractor.patients[side]) for side in (plan.train, plan.held_out))
    assert not train & held_out and len(train | held_out) == 8
    kind, plan = crossvalidation.choose_split(TrainingOptions(split="image", test_size=0.25), extractor)
    assert kind == "image" and len(plan.held_out) == 6
    for image in extractor.dataset.images:
        object.__setattr__(image, "patient", None)
    assert crossvalidation.choose_split(TrainingOptions(), extractor)[0] == "image"


def test_in_a_cross_validation_all_images_are_on_both_sides():
    _, plan = crossvalidation.choose_split(TrainingOptions(folds=3, repeats=2), extractor_of(Case((12, 12))))
    assert len(plan.train) == len(plan.held_out) == 24 and len(plan) == 6


def test_images_are_listed_and_clinical_columns_checked(tmp_path):
    data = classes(tmp_path / "data", covid=2, normal=2)
    found, positive = crossvalidation.load_images(TrainingOptions(dataset=data, positive_class="COVID"))
    assert (len(found.images), positive) == (4, 0)
    age = TrainingOptions(dataset=data, clinical_columns=("age",))
    with rejection("--clinical-columns age is no column"):
        crossvalidation.load_images(age)
    for label in ("covid", "normal"):
        rows = [{"file": f"{label}-00{i}.png", "age": "50" if label == "covid" else ""} for i in range(2)]
        manifest.write(data / label, rows)
    with rejection("--clinical-columns age: whether the value is missing predicts the class"):
        crossvalidation.load_images(age)
    crossvalidation.load_images(
        TrainingOptions(dataset=data, clinical_columns=("age",), allow_informative_missingness=True)
    )


def outcome_of(positive: list[float], labels: list[int], fitted=None) -> EvaluatedHead:
    """Return an outcome of one model; `positive` are probabilities of class 0."""
    said = np.stack([np.array(positive), 1 - np.array(positive)], axis=1)
    predictions = Predictions.of_one_model(np.array(labels), np.arange(len(labels)), said, said.argmax(axis=1))
    rows = np.arange(len(labels))
    return EvaluatedHead(fitted, evaluate(predictions, CLASSES, 0), predictions, 0.4, [], rows, rows)


def test_the_most_confident_errors_come_first_and_confident_hits_last():
    evaluated = outcome_of([0.9, 0.6, 0.95, 0.2, 0.45], [0, 0, 1, 1, 0])
    # Wrong are image 2 (0.95) and image 4 (0.55); right are 1 (0.6), 3 (0.8) and 0 (0.9).
    assert crossvalidation.most_confident_errors_first(evaluated).tolist() == [2, 4, 1, 3, 0]


def test_a_model_knows_its_threshold_recipe_and_training_images():
    evaluated = outcome_of([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [0, 0, 0, 1, 1, 1], TrainedHead([]))
    properties = [SimpleNamespace(digest=f"{row:064x}") for row in range(6)]
    extractor = SimpleNamespace(properties=properties, backbone=SimpleNamespace(weights={}))
    described = crossvalidation.saved_model(evaluated, RidgeRecipe(), extractor, None).description
    assert (described.classes, described.positive, described.threshold) == (CLASSES, "covid", 0.4)
    assert (described.recipe, described.pooling) == ("ridge", "blocks")
    assert len(described.training_images) == 6


def test_a_map_is_kept_for_its_image_head_and_class(tmp_path, monkeypatch):
    runtime.ready()
    from detector.network import forward

    passes, built = [], []

    def maps(pixels, classes, extra):
        passes.extend(classes.tolist())
        return np.ones((len(classes), 14, 14), np.float32) * classes[:, None, None]

    monkeypatch.setattr(forward, "heat_maps", lambda weights, head, columns: built.append(1) or maps)
    extractor = SimpleNamespace(
        dataset=SimpleNamespace(images=[SimpleNamespace(row={})] * 12),
        backbone=SimpleNamespace(cache=Cache(tmp_path), weights=None),
        properties=[SimpleNamespace(digest=f"{row}") for row in range(12)],
        columns=slice(0, 512),
        log=SimpleNamespace(quiet=True),
        pixels=lambda row: np.full((224, 224, 3), row, np.uint8),
    )

    def asked(rows, labels, weights):
        head = TrainedHead([np.full((512, 2), weights, np.float32)])
        found = FeatureExtractor.heat_maps(extractor, head, np.array(rows), np.array(labels))
        assert [one[0, 0] for one in found] == labels
        return len(passes)

    assert asked(range(12), [row % 2 for row in range(12)], 0) == 12
    assert asked([3, 2], [1, 0], 0) == 12 and len(built) == 1  # nothing is prepared where nothing is missing
    assert asked([3, 2], [1, 1], 0) == 13  # another class of image 2
    assert asked([3], [1], 1) == 14
