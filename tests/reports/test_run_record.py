"""What a run keeps of its results."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detector.reports import run_record
from detector.statistics.evaluation import Predictions, evaluate, predict
from detector.training.crossvalidation import NO_HEAD, EvaluatedHead


def of_folds(folds: list[list[int]]) -> EvaluatedHead:
    """Return an evaluation of eight images, four a class, in some folds."""
    labels = np.array([0, 1] * 4)
    positive = np.array([0.9, 0.1, 0.8, 0.6, 0.4, 0.3, 0.7, 0.2])
    said = np.stack([positive, 1 - positive], axis=1)
    repeated = np.array([said] * len(folds)), np.array([predict(said, 0)] * len(folds))
    predictions = Predictions(labels, np.arange(8).astype(str), *repeated, np.array(folds))
    everything = np.arange(8)
    return EvaluatedHead(NO_HEAD, evaluate(predictions, ["a", "b"], 0), predictions, None, [], everything, everything)


def test_metrics_of_each_fold_with_mean_and_standard_deviation():
    found = run_record.by_fold(of_folds([[0, 0, 0, 0, 1, 1, 1, 1]]))
    assert found["accuracy"]["values"] == [0.75, 0.75] and found["accuracy"]["sd"] == 0.0
    assert found["sensitivity"]["values"] == [1.0, 0.5] and found["specificity"]["values"] == [0.5, 1.0]
    assert found["roc_auc"]["values"] == [1.0, 1.0]
    assert found["sensitivity"]["mean"] == 0.75 and found["sensitivity"]["sd"] == pytest.approx(np.sqrt(0.125))
    assert len(run_record.by_fold(of_folds([[0, 0, 0, 0, 1, 1, 1, 1]] * 3))["accuracy"]["values"]) == 6


def test_a_single_model_has_no_folds_and_a_fold_without_a_class_no_metric_of_it():
    assert run_record.by_fold(of_folds([[0] * 8])) == {}
    found = run_record.by_fold(of_folds([[0, 1, 0, 0, 0, 0, 0, 0]]))
    assert "sensitivity" not in found and "roc_auc" not in found and len(found["accuracy"]["values"]) == 2


def test_json_has_no_number_that_is_none():
    data = run_record.as_json({"a": np.array([np.nan, 1.0]), "b": np.bool_(True), "c": np.int64(3), "d": "\udcff"})
    assert json.loads(data) == {"a": [None, 1.0], "b": True, "c": 3, "d": "\udcff"}
