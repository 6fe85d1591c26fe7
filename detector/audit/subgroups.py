"""A result by sex, age, view and data set, where manifests know them: a mean can hide a group that differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detector import counted
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.files.values import years
from detector.statistics.auc import fold_inflation, roc_auc
from detector.statistics.evaluation import Predictions
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.statistics.proportions import proportion
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor

AGES = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 130))  # years, from and below


@dataclass(frozen=True)
class Subgroup:
    """A row of the table.

    Attributes
    ----------
    property, value : str
        Such as ``"sex"``, ``"F"``.
    n_images, n_patients : int
    sensitivity, specificity, roc_auc : Metric
        Unavailable where a class has too few images.
    """

    property: str
    value: str
    n_images: int
    n_patients: int
    sensitivity: Metric
    specificity: Metric
    roc_auc: Metric

    def __str__(self) -> str:
        """Return the row as it is printed."""
        of = f"{counted(self.n_images, 'image')}, {counted(self.n_patients, 'patient')}"
        start = f"{self.property + ' ' + self.value:<24} {of}"
        if not self.sensitivity.available:
            return f"{start}: {self.sensitivity.reason}"
        return f"{start}: sensitivity {self.sensitivity}, specificity {self.specificity}, ROC AUC {self.roc_auc}"


def subgroups(extractor: FeatureExtractor, evaluated: EvaluatedHead, positive: int) -> list[Subgroup]:
    """Return the table, of those properties that some image's manifest knows.

    Parameters
    ----------
    extractor : FeatureExtractor
    evaluated : EvaluatedHead
    positive : int
        Index of the positive class.

    Returns
    -------
    list of Subgroup
    """
    images = [extractor.dataset.images[row] for row in evaluated.held_out]
    properties: dict[str, Callable[[Image], str]] = {
        "sex": lambda image: known(image.row.get("sex", "")).upper(),
        "age": lambda image: age_band(image.row.get("age", "")),
        "view": lambda image: image.view,
        "data set": lambda image: image.source,
    }
    table = []
    for name, value_of in properties.items():
        values = np.array([value_of(image) for image in images])
        for value in sorted(set(values) - {""}, key=lambda text: (len(text), text) if name == "age" else (0, text)):
            table.append(_subgroup(name, str(value), np.flatnonzero(values == value), evaluated.predictions, positive))
    return table


def known(value: str) -> str:
    """Return a cell, empty where it stands for a value that is not known."""
    return "" if clinical.is_missing(value) else value.strip()


def age_band(value: str) -> str:
    """Return the band of an age in years, such as ``"18-39"``; empty where it is not known."""
    age = years(value)
    return next((f"{low}-{high - 1}" for low, high in AGES if age is not None and low <= age < high), "")


def _subgroup(name: str, value: str, rows: np.ndarray, predictions: Predictions, positive: int) -> Subgroup:
    truth, patients = predictions.labels[rows] == positive, predictions.patients[rows]
    counts = len(rows), len(set(patients))
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    if min(n_positive, n_negative) < FEWEST:
        return Subgroup(name, value, *counts, *[too_few(n_positive, n_negative, "images")] * 3)
    predicted_positive, folds = predictions.predicted[:, rows] == positive, predictions.folds[:, rows]
    area = roc_auc(predictions.probabilities[:, rows, positive], truth, patients, folds=folds)
    wider = fold_inflation(area, folds)
    return Subgroup(
        name,
        value,
        *counts,
        proportion(predicted_positive[:, truth], patients[truth], truth[truth], wider),
        proportion(~predicted_positive[:, ~truth], patients[~truth], truth[~truth], wider),
        area,
    )
