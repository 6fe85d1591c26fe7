"""What a training run ends with: a fitted head, and what heads said of images that they had not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.command_line import Log
from detector.statistics.evaluation import Evaluation, evaluate, predict
from detector.training import crossvalidation
from detector.training.feature_set import FeatureSet, FittedHead
from detector.training.recipes import AfterEpoch, Recipe


@dataclass(frozen=True)
class OperatingPoint:
    """From which probability on an image is called positive: as given, chosen for a sensitivity, or the likeliest."""

    threshold: float | None = None
    sensitivity: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A fitted head and its evaluation.

    Attributes
    ----------
    fitted : FittedHead
    evaluation : Evaluation
    probabilities : ndarray of shape (repeats, n, classes)
        Of the held-out images, by heads that had not seen them.
    predicted : ndarray of shape (repeats, n), int
        Classes that they were called, by the operating point of their fold.
    threshold : float or None
    train, held_out : ndarray of int
        All images both times in a cross-validation.
    """

    fitted: FittedHead
    evaluation: Evaluation
    probabilities: np.ndarray
    predicted: np.ndarray
    threshold: float | None
    train: np.ndarray
    held_out: np.ndarray


def cross_validate(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    folds: int,
    repeats: int,
    seed: int,
    point: OperatingPoint,
    log: Log,
    after_epoch: AfterEpoch,
) -> Outcome:
    """Evaluate on every image in turn, and fit the head that is kept to all of them.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If a class has fewer patients than there are folds.
    """
    log.info(f"cross-validating: {folds} folds, {repeats} times...")
    threshold = point.threshold
    with log.timed("cross-validate"):
        found = crossvalidation.out_of_fold(
            samples, positive, recipe, folds, repeats, seed, point.threshold, point.sensitivity, log.quiet
        )
        result = crossvalidation.as_evaluation(found, samples, positive, seed)
        if point.sensitivity:
            scores = found.probabilities[0][:, positive]
            threshold = crossvalidation.threshold_for(point.sensitivity, scores, samples.labels == positive)
    log.info("training the head on everything...")
    everything = np.arange(len(samples.labels))
    with log.timed("train the head"):
        fitted = samples.fit(everything, recipe, seed, None, after_epoch)
    return Outcome(fitted, result, found.probabilities, found.predicted, threshold, everything, everything)


def hold_out(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    train: np.ndarray,
    held_out: np.ndarray,
    seed: int,
    point: OperatingPoint,
    log: Log,
    after_epoch: AfterEpoch,
    inner_features: Callable[[], np.ndarray],
) -> Outcome:
    """Fit a head to some images and evaluate it on the others.

    Parameters
    ----------
    inner_features : callable
        Returns features of the training images as they are, should a threshold be chosen on them.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If a threshold is to be chosen, and a class has too few patients for it.
    """
    threshold = point.threshold
    if point.sensitivity:
        log.info("choosing the threshold on training patients...")
        with log.timed("choose the threshold"):
            inside = replace(samples.subset(train), features=inner_features())
            threshold = crossvalidation.inner_threshold(inside, positive, point.sensitivity, recipe, seed)
    log.info("training the head...")
    with log.timed("train the head"):
        fitted = samples.fit(train, recipe, seed, held_out, after_epoch)
    probabilities = samples.predict_proba(fitted, held_out)
    result = evaluate(
        samples.labels[held_out],
        probabilities,
        samples.classes,
        samples.classes[positive],
        seed,
        threshold,
        samples.groups[held_out],
    )
    predicted = predict(probabilities, positive, threshold)
    return Outcome(fitted, result, probabilities[None], predicted[None], threshold, train, held_out)
