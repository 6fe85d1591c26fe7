"""Confusion matrix, sensitivity, specificity and area under the ROC curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.statistics.intervals import Proportion, proportion
from detector.statistics.roc import Area, patient_area


@dataclass(frozen=True)
class Evaluation:
    """How predictions compare with the truth.

    Attributes
    ----------
    classes : list of str
    positive : str
    confusion : ndarray of shape (classes, classes), int
        Rows are true classes, columns predicted ones.
    acc, sensitivity, specificity : Proportion
        Sensitivity: positives called positive. Specificity: others not called positive.
    auc : Area
        Of the positive class against all others.
    """

    classes: list[str]
    positive: str
    confusion: np.ndarray
    acc: Proportion
    sensitivity: Proportion
    specificity: Proportion
    auc: Area


def predict(probabilities: np.ndarray, positive: int, threshold: float | None = None) -> np.ndarray:
    """Return predicted classes: the likeliest or, with a `threshold`, the positive class from there on up.

    Parameters
    ----------
    probabilities : ndarray of shape (n, classes)
    positive : int
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


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    positive: str,
    seed: int,
    threshold: float | None = None,
    patients: np.ndarray | None = None,
) -> Evaluation:
    """Compare predicted probabilities with the truth.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    probabilities : ndarray of shape (n, classes)
    classes : sequence of str
    positive : str
    seed : int
        Of the bootstrap.
    threshold : float, optional
    patients : ndarray of shape (n,), optional
        Whom the bootstrap draws; by default each image is of a patient of its own.

    Returns
    -------
    Evaluation
    """
    from sklearn.metrics import confusion_matrix

    index = list(classes).index(positive)
    predicted = predict(probabilities, index, threshold)
    patients = np.arange(len(labels)) if patients is None else patients
    truth, called = labels == index, predicted == index
    return Evaluation(
        list(classes),
        positive,
        confusion_matrix(labels, predicted, labels=np.arange(len(classes))),
        proportion((labels == predicted).sum(), len(labels)),
        proportion((truth & called).sum(), truth.sum()),
        proportion((~truth & ~called).sum(), (~truth).sum()),
        patient_area(probabilities[None, :, index], truth, patients, seed),
    )
