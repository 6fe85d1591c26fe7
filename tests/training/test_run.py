"""Steps of a training run: images that can be trained on, the split, the model's description, Grad-CAM."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from audit_helpers import CLASSES, Case, RidgeRecipe, extractor_of
from conftest import classes, rejection

from detector.datasets import manifest
from detector.files.cache import Cache
from detector.network import runtime
from detector.network.head import TrainedHead
from detector.statistics.evaluation import Predictions, evaluate
from detector.training import run
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor
from detector.training.options import TrainingOptions


def test_images_of_one_patient_stay_on_one_side():
    extractor = extractor_of(Case((12, 12), images=3))
    kind, plan = run.choose_split(TrainingOptions(test_size=0.25), extractor)
    assert kind == "patient" and len(plan) == 1
    train, held_out = (set(extractor.patients[side]) for side in (plan.train, plan.held_out))
    assert not train & held_out and len(train | held_out) == 8
    kind, plan = run.choose_split(TrainingOptions(split="image", test_size=0.25), extractor)
    assert kind == "image" and len(plan.held_out) == 6
    for image in extractor.dataset.images:
        object.__setattr__(image, "patient", None)
    assert run.choose_split(TrainingOptions(), extractor)[0] == "image"


def test_in_a_cross_validation_all_images_are_on_both_sides():
    _, plan = run.choose_split(TrainingOptions(folds=3, repeats=2), extractor_of(Case((12, 12))))
    assert len(plan.train) == len(plan.held_out) == 24 and len(plan) == 6


def test_images_are_listed_and_clinical_columns_checked(tmp_path):
    data = classes(tmp_path / "data", covid=2, normal=2)
    found, positive = run.load_images(TrainingOptions(dataset=data, positive_class="COVID"))
    assert (len(found.images), positive) == (4, 0)
    age = TrainingOptions(dataset=data, clinical_columns=("age",))
    with rejection("--clinical-columns age is no column"):
        run.load_images(age)
    for label in ("covid", "normal"):
        rows = [{"file": f"{label}-00{i}.png", "age": "50" if label == "covid" else ""} for i in range(2)]
        manifest.write(data / label, rows)
    with rejection("--clinical-columns age: whether the value is missing predicts the class"):
        run.load_images(age)
    run.load_images(TrainingOptions(dataset=data, clinical_columns=("age",), allow_informative_missingness=True))


def outcome_of(positive: list[float], labels: list[int], fitted=None) -> EvaluatedHead:
    """Return an outcome of one model; `positive` are probabilities of class 0."""
    said = np.stack([np.array(positive), 1 - np.array(positive)], axis=1)
    predictions = Predictions.of_one_model(np.array(labels), np.arange(len(labels)), said, said.argmax(axis=1))
    rows = np.arange(len(labels))
    return EvaluatedHead(fitted, evaluate(predictions, CLASSES, 0), predictions, 0.4, [], rows, rows)


def test_the_most_confident_errors_come_first_and_confident_hits_last():
    evaluated = outcome_of([0.9, 0.6, 0.95, 0.2, 0.45], [0, 0, 1, 1, 0])
    # Wrong are image 2 (0.95) and image 4 (0.55); right are 1 (0.6), 3 (0.8) and 0 (0.9).
    assert run.most_confident_errors_first(evaluated).tolist() == [2, 4, 1, 3, 0]


def test_a_model_knows_its_threshold_recipe_and_training_images():
    evaluated = outcome_of([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [0, 0, 0, 1, 1, 1], TrainedHead([]))
    properties = [SimpleNamespace(digest=f"{row:064x}") for row in range(6)]
    extractor = SimpleNamespace(properties=properties, backbone=SimpleNamespace(weights={}))
    described = run.saved_model(evaluated, RidgeRecipe(), extractor, None).description
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
