"""Cross-validation on features, in which no patient is on both sides, and the operating point chosen inside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.command_line import progress
from detector.statistics import split
from detector.statistics.evaluation import Evaluation, predict
from detector.statistics.intervals import mean_proportion
from detector.statistics.roc import patient_area
from detector.training.feature_set import FeatureSet
from detector.training.recipes import Recipe

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


def inner_threshold(samples: FeatureSet, positive: int, sensitivity: float, recipe: Recipe, seed: int) -> float:
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
    found = out_of_fold(samples, positive, recipe, INNER_FOLDS, 1, seed)
    return threshold_for(sensitivity, found.probabilities[0][:, positive], samples.labels == positive)


def out_of_fold(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
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
    samples : FeatureSet
    positive : int
        Index of the positive class.
    recipe : TutorialRecipe or ProbeRecipe
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
    n, classes = len(samples.labels), len(samples.classes)
    probabilities = np.empty((repeats, n, classes))
    predicted = np.empty((repeats, n), int)
    thresholds: list[float] = []
    plan = [
        (repeat, fold, *sides)
        for repeat in range(repeats)
        for fold, sides in enumerate(split.folds(samples.labels, samples.groups, samples.classes, folds, seed + repeat))
    ]
    for repeat, fold, train, held_out in progress(plan, len(plan), "folds", quiet):
        own_seed = (seed + repeat) * 1000 + fold
        fitted = samples.fit(train, recipe, own_seed)
        probabilities[repeat, held_out] = samples.predict_proba(fitted, held_out)
        at = threshold
        if sensitivity is not None:
            at = inner_threshold(samples.subset(train), positive, sensitivity, recipe, own_seed)
            thresholds.append(at)
        predicted[repeat, held_out] = predict(probabilities[repeat, held_out], positive, at)
    return OutOfFold(probabilities, predicted, thresholds)


def as_evaluation(found: OutOfFold, samples: FeatureSet, positive: int, seed: int) -> Evaluation:
    """Return a cross-validation in figures: means over repeats; the confusion matrix is that of the first.

    The interval of the AUC is a percentile bootstrap that draws whole patients, since images of one person are alike;
    repeats differ in their folds only, and narrow nothing.

    Returns
    -------
    Evaluation
    """
    from sklearn.metrics import confusion_matrix

    labels, truth = samples.labels, samples.labels == positive

    return Evaluation(
        samples.classes,
        samples.classes[positive],
        confusion_matrix(labels, found.predicted[0], labels=np.arange(len(samples.classes))),
        mean_proportion(found.predicted == labels),
        mean_proportion(found.predicted[:, truth] == positive),
        mean_proportion(found.predicted[:, ~truth] != positive),
        patient_area(found.probabilities[..., positive], truth, samples.groups, seed),
    )
