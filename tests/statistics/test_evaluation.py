"""Predictions compared with the truth, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.statistics.evaluation import Predictions, evaluate, predict

LABELS = np.repeat([0, 0, 0, 1, 1, 1, 1], 4)
SAID = np.repeat([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]], 4, axis=0)


def of(threshold=None):
    predictions = Predictions.of_one_model(LABELS, np.arange(28), SAID, predict(SAID, 0, threshold))
    return evaluate(predictions, ["covid", "normal"], 0)


def test_evaluation_by_hand():
    result = of()
    assert result.confusion.tolist() == [[8, 4], [4, 12]]
    assert (result.sensitivity.value, result.sensitivity.n_positive) == (pytest.approx(2 / 3), 12)
    assert (result.specificity.value, result.specificity.n_negative) == (0.75, 16)
    assert (result.sensitivity.n_negative, result.specificity.n_positive) == (0, 0)
    assert result.roc_auc.value == pytest.approx(10 / 12)
    assert result.roc_auc.ci_low < result.roc_auc.value < result.roc_auc.ci_high
    assert set(result.metrics()) == {"roc_auc", "accuracy", "sensitivity", "specificity"}
    assert of(0.7).confusion.tolist() == [[8, 4], [0, 16]]


def test_repeats_are_averaged_and_folds_kept_apart():
    """Of two repeats one is right everywhere and one nowhere; each fold's scores have an offset."""
    truth = np.arange(40) % 2
    folds = np.stack([np.arange(40) // 20] * 2)
    scores = np.where(truth == 0, 0.3, 0.2) + 0.5 * folds
    probabilities = np.stack([scores, 1 - scores], axis=-1)
    found = evaluate(
        Predictions(truth, np.arange(40), probabilities, np.stack([truth, 1 - truth]), folds), ["a", "b"], 0
    )
    assert found.accuracy.value == found.sensitivity.value == found.specificity.value == 0.5
    assert found.roc_auc.value == 1.0


def of_noise(folds):
    """Evaluate predictions that are half right, of 40 patients."""
    labels, who, scores = np.arange(40) % 2, np.arange(40), np.random.default_rng(0).permutation(40) / 40
    said = np.stack([scores, 1 - scores], axis=1)
    predictions = Predictions.of_one_model(labels, who, said, predict(said, 0))
    return evaluate(replace(predictions, folds=(who % folds)[None]), ["a", "b"], 0)


def test_intervals_are_wider_where_every_fold_has_a_model_of_its_own():
    one, several = of_noise(1).metrics(), of_noise(5).metrics()
    for name in ("accuracy", "sensitivity", "specificity"):
        assert one[name].value == several[name].value
        widths = [found[name].ci_high - found[name].ci_low for found in (one, several)]
        assert widths[1] > 1.2 * widths[0]
