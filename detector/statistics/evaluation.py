"""Confusion matrix, accuracy, sensitivity, specificity and ROC AUC of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.statistics.auc import Scores, fold_inflation
from detector.statistics.intervals import proportion
from detector.statistics.metric import Metric


@dataclass(frozen=True)
class Predictions:
    """Predictions on images that no head had seen, with what is true of these.

    Attributes
    ----------
    labels : ndarray of shape (n,), int
    patients : ndarray of shape (n,)
    probabilities : ndarray of shape (repeats, n, classes)
    predicted : ndarray of shape (repeats, n), int
        Classes, by the operating point.
    folds : ndarray of shape (repeats, n), int
        The fold of each repeat that held an image out: only within one were its scores given by one model.
    """

    labels: np.ndarray
    patients: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    folds: np.ndarray

    @classmethod
    def of_one_model(
        cls, labels: np.ndarray, patients: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
    ) -> Predictions:
        """Return the predictions of a single model: probabilities (n, classes), predicted (n,)."""
        return cls(labels, patients, probabilities[None], predicted[None], np.zeros((1, len(labels)), int))

    def scores(self, positive: int) -> Scores:
        """Return the probabilities of a class, and which images are of it."""
        return Scores(self.probabilities[..., positive], self.labels == positive, self.patients, self.folds)


@dataclass(frozen=True)
class Evaluation:
    """How predictions compare with the truth.

    Attributes
    ----------
    confusion : ndarray of shape (classes, classes), int
        Rows are true classes, columns predicted ones; of a cross-validation, of its first repeat.
    accuracy, sensitivity, specificity : Metric
        Means over repeats, with Wilson's intervals over patients, wider if several models were fitted. Sensitivity:
        positives that are predicted positive. Specificity: others that are not.
    roc_auc : Metric
        Of the positive class against all others.
    """

    classes: list[str]
    positive: str
    confusion: np.ndarray
    accuracy: Metric
    sensitivity: Metric
    specificity: Metric
    roc_auc: Metric

    def metrics(self) -> dict[str, Metric]:
        """Return the metrics by name."""
        names = ("roc_auc", "accuracy", "sensitivity", "specificity")
        return {name: getattr(self, name) for name in names}


def predict(probabilities: np.ndarray, positive: int, threshold: float | None = None) -> np.ndarray:
    """Return predicted classes: the likeliest or, with a `threshold`, the positive class from there on up.

    Parameters
    ----------
    probabilities : ndarray of shape (n, classes)
    threshold : float, optional
        Of the positive class's probability.

    Returns
    -------
    ndarray of shape (n,), int
    """
    if threshold is None:
        return probabilities.argmax(axis=1)
    others = probabilities.copy()
    others[:, positive] = -1.0
    return np.where(probabilities[:, positive] >= threshold, positive, others.argmax(axis=1))


def evaluate(predictions: Predictions, classes: Sequence[str], positive: int) -> Evaluation:
    """Compare predictions with the truth.

    Parameters
    ----------
    positive : int
        Index of the positive class.
    """
    from sklearn.metrics import confusion_matrix

    labels, predicted, patients = predictions.labels, predictions.predicted, predictions.patients
    truth, area = labels == positive, predictions.scores(positive).auc()
    wider = fold_inflation(area, predictions.folds)
    return Evaluation(
        list(classes),
        classes[positive],
        confusion_matrix(labels, predicted[0], labels=np.arange(len(classes))),
        proportion(predicted == labels, patients, truth, wider),
        proportion(predicted[:, truth] == positive, patients[truth], truth[truth], wider),
        proportion(predicted[:, ~truth] != positive, patients[~truth], truth[~truth], wider),
        area,
    )
