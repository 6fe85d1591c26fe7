"""The order of test images in a report, and what a model's file says of a run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from audit_helpers import CLASSES, Case, RidgeRecipe, extractor_of

from detector.statistics.evaluation import Predictions, evaluate
from detector.training import run
from detector.training.crossvalidation import EvaluatedHead


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
    extractor = extractor_of(Case((3, 3)))
    evaluated = outcome_of([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [0, 0, 0, 1, 1, 1], SimpleNamespace(columns=[]))
    recipe = RidgeRecipe()
    described = run.describe(evaluated, recipe, extractor)
    assert (described.classes, described.positive, described.threshold) == (CLASSES, "covid", 0.4)
    assert (described.recipe, described.pooling, described.input) == ("ridge", "blocks", "image")
    assert len(described.training_images.digests) == 6
