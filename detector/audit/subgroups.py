"""A result by sex, age, view and source, where manifests know them: a mean can hide a group that it is not true of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.statistics.intervals import Proportion, mean_proportion
from detector.statistics.roc import Area, patient_area
from detector.training.evaluation_result import Outcome
from detector.training.extraction import FeatureExtractor

FEWEST = 10  # images of each class, below which a figure says nothing
AGES = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 130))  # years, from and below


@dataclass(frozen=True)
class Subgroup:
    """A row of the table.

    Attributes
    ----------
    image_properties, value : str
        Such as ``"sex"``, ``"F"``.
    n : int
        Images.
    sensitivity, specificity : Proportion or None
    auc : Area or None
        None where a class has too few images.
    """

    image_properties: str
    value: str
    n: int
    sensitivity: Proportion | None = None
    specificity: Proportion | None = None
    auc: Area | None = None

    def __str__(self) -> str:
        start = f"{self.image_properties + ' ' + self.value:<34} n={self.n:<6}"
        if self.auc is None:
            return f"{start} too few"
        shares = " ".join(
            f"{name} {share.value:.2f} ({share.low:.2f}-{share.high:.2f}) "
            for name, share in (("sensitivity", self.sensitivity), ("specificity", self.specificity))
        )
        return f"{start} {shares} auc {self.auc.value:.2f} ({self.auc.low:.2f}-{self.auc.high:.2f})"


def subgroups(extractor: FeatureExtractor, outcome: Outcome, positive: int, seed: int) -> list[Subgroup]:
    """Return the table, of those properties that some image's manifest knows.

    Parameters
    ----------
    extractor : FeatureExtractor
    outcome : Outcome
    positive : int
    seed : int

    Returns
    -------
    list of Subgroup
    """
    images = [extractor.dataset.images[row] for row in outcome.held_out]
    properties: dict[str, Callable[[Image], str]] = {
        "sex": lambda image: known(image.row.get("sex", "")).upper(),
        "age": lambda image: age_band(image.row.get("age", "")),
        "view": lambda image: image.view,
        "source": lambda image: image.source,
    }
    table = []
    for image_properties, value_of in properties.items():
        values = np.array([value_of(image) for image in images])
        for value in sorted(
            set(values) - {""}, key=lambda text: (len(text), text) if image_properties == "age" else (0, text)
        ):
            rows = np.flatnonzero(values == value)
            table.append(_subgroup(image_properties, str(value), rows, extractor, outcome, positive, seed))
    return table


def known(value: str) -> str:
    """Return a cell, empty where it stands for a value that is not known."""
    return "" if clinical.is_missing(value) else value.strip()


def age_band(value: str) -> str:
    """Return the band of an age in years, such as ``"18-39"``; empty where it is not known."""
    age = clinical.number(value)
    return next((f"{low}-{high - 1}" for low, high in AGES if age is not None and low <= age < high), "")


def _subgroup(
    image_properties: str,
    value: str,
    rows: np.ndarray,
    extractor: FeatureExtractor,
    outcome: Outcome,
    positive: int,
    seed: int,
) -> Subgroup:
    images = outcome.held_out[rows]
    truth = extractor.dataset.labels[images] == positive
    if min(truth.sum(), (~truth).sum()) < FEWEST:
        return Subgroup(image_properties, value, len(rows))
    called = outcome.predicted[:, rows] == positive
    return Subgroup(
        image_properties,
        value,
        len(rows),
        mean_proportion(called[:, truth]),
        mean_proportion(~called[:, ~truth]),
        patient_area(outcome.probabilities[:, rows, positive], truth, extractor.patients[images], seed),
    )
