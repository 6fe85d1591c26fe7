"""Cross-validation on features, in which no patient is on both sides, and the operating point chosen inside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector import head, split
from detector.command_line import progress
from detector.evaluation import Evaluation, predict
from detector.intervals import Proportion, patient_area, proportion
from detector.material import Material

INNER_FOLDS = 3


@dataclass(frozen=True)
class OutOfFold:
    """What heads said of images that they had not seen.

    Attributes
    ----------
    probabilities : ndarray of shape (repeats, n, classes)
    predicted : ndarray of shape (repeats, n), int
        By the operating point of each fold.
    thresholds : list of float
        One of each fold, where they were chosen.
    """

    probabilities: np.ndarray
    predicted: np.ndarray
    thresholds: list[float]


def threshold_for(sensitivity: float, scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the highest threshold that calls at least a share of the positives positive.

    Parameters
    ----------
    sensitivity : float
        In (0, 1).
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool

    Returns
    -------
    float
    """
    positives = np.sort(scores[is_positive])[::-1]
    return float(positives[int(np.ceil(sensitivity * len(positives))) - 1])


def inner_threshold(material: Material, positive: int, sensitivity: float, recipe: head.Recipe, seed: int) -> float:
    """Choose an operating point on a training side alone, from what heads say of parts of it that they did not see.

    Returns
    -------
    float
        Of the positive class's probability.

    Raises
    ------
    InputError
        If a class has too few patients.
    """
    found = out_of_fold(material, positive, recipe, INNER_FOLDS, 1, seed)
    return threshold_for(sensitivity, found.probabilities[0][:, positive], material.labels == positive)


def out_of_fold(
    material: Material,
    positive: int,
    recipe: head.Recipe,
    folds: int,
    repeats: int,
    seed: int,
    threshold: float | None = None,
    sensitivity: float | None = None,
    quiet: bool = True,
) -> OutOfFold:
    """Cross-validate.

    Parameters
    ----------
    material : Material
    positive : int
        Index of the positive class.
    recipe : head.Recipe
    folds, repeats : int
    seed : int
        Each repeat draws folds of its own.
    threshold : float, optional
        A fixed operating point; None takes the likeliest class.
    sensitivity : float, optional
        Choose the operating point of each fold on its training side, to reach this.
    quiet : bool
        Show no progress.

    Returns
    -------
    OutOfFold

    Raises
    ------
    InputError
        If a class has fewer patients than there are folds.
    """
    n, classes = len(material.labels), len(material.classes)
    said = np.empty((repeats, n, classes))
    predicted = np.empty((repeats, n), int)
    thresholds: list[float] = []
    plan = [
        (repeat, fold, *sides)
        for repeat in range(repeats)
        for fold, sides in enumerate(
            split.folds(material.labels, material.patients, material.classes, folds, seed + repeat)
        )
    ]
    for repeat, fold, train, held_out in progress(plan, len(plan), "folds", quiet):
        own_seed = (seed + repeat) * 1000 + fold
        said[repeat, held_out] = material.judge(material.train(train, recipe, own_seed), held_out)
        at = threshold
        if sensitivity is not None:
            at = inner_threshold(material.part(train), positive, sensitivity, recipe, own_seed)
            thresholds.append(at)
        predicted[repeat, held_out] = predict(said[repeat, held_out], positive, at)
    return OutOfFold(said, predicted, thresholds)


def as_evaluation(found: OutOfFold, material: Material, positive: int, seed: int) -> Evaluation:
    """Return a cross-validation in figures: means over repeats; the confusion matrix is that of the first.

    The interval of the AUC is a percentile bootstrap that draws whole patients, since images of one person are alike;
    repeats differ in their folds only, and narrow nothing.

    Returns
    -------
    Evaluation
    """
    from sklearn.metrics import confusion_matrix

    labels, truth = material.labels, material.labels == positive

    def share(right: np.ndarray) -> Proportion:
        # The mean over repeats of how many were right, to the nearest image: Wilson's interval counts whole ones.
        return proportion(round(right.sum(axis=1).mean()), right.shape[1])

    return Evaluation(
        material.classes,
        material.classes[positive],
        confusion_matrix(labels, found.predicted[0], labels=np.arange(len(material.classes))),
        share(found.predicted == labels),
        share(found.predicted[:, truth] == positive),
        share(found.predicted[:, ~truth] != positive),
        patient_area(found.probabilities[..., positive], truth, material.patients, seed),
    )
