"""What a training run ends with: a fitted head, and predictions of images that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.cli.output import Log
from detector.network.head import AfterEpoch
from detector.statistics.evaluation import Evaluation, Predictions, evaluate, predict
from detector.statistics.split import FoldPlan
from detector.training import crossvalidation
from detector.training.crossvalidation import OperatingPoint
from detector.training.feature_set import FeatureSet, FittedHead
from detector.training.recipes import Recipe


@dataclass(frozen=True)
class EvaluatedHead:
    """A fitted head and its evaluation.

    Attributes
    ----------
    fitted : FittedHead
    evaluation : Evaluation
    predictions : Predictions
        On the held-out images, by heads that had not seen them.
    threshold : float or None
        Of the saved model.
    thresholds : list of float
        Of each fold, where they were chosen for a sensitivity: those that sensitivity and specificity are judged at.
    train, held_out : ndarray of int
        All images both times in a cross-validation.
    """

    fitted: FittedHead
    evaluation: Evaluation
    predictions: Predictions
    threshold: float | None
    thresholds: list[float]
    train: np.ndarray
    held_out: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Of the held-out images, shape (repeats, n, classes)."""
        return self.predictions.probabilities

    @property
    def predicted(self) -> np.ndarray:
        """Classes that held-out images are predicted as, shape (repeats, n), int."""
        return self.predictions.predicted


@dataclass(frozen=True)
class TrainingProtocol:
    """How a head is fitted and judged.

    Attributes
    ----------
    recipe : TutorialRecipe or ProbeRecipe
    positive : int
        Index of the positive class.
    point : OperatingPoint
    seed : int
    """

    recipe: Recipe
    positive: int
    point: OperatingPoint
    seed: int


def cross_validate(
    samples: FeatureSet, protocol: TrainingProtocol, plan: FoldPlan, log: Log, after_epoch: AfterEpoch
) -> EvaluatedHead:
    """Evaluate on every image in turn, and fit the head that is saved to all of them.

    Returns
    -------
    EvaluatedHead
    """
    repeated = f", {len(plan.repeats)} repeats" if len(plan.repeats) > 1 else ""
    log.info(f"cross-validating: {len(plan.repeats[0])} folds{repeated}...")
    positive, point = protocol.positive, protocol.point
    threshold = point.threshold
    with log.timed("cross-validate"):
        found = crossvalidation.out_of_fold(samples, positive, protocol.recipe, plan, point, log.quiet)
        result = evaluate(found.predictions, samples.classes, positive)
        if point.sensitivity:
            scores = found.predictions.probabilities[0][:, positive]
            threshold = crossvalidation.threshold_for(point.sensitivity, scores, samples.labels == positive)
    log.info("training the head on all images...")
    everything = np.arange(len(samples.labels))
    with log.timed("train the head"):
        fitted = samples.fit(everything, protocol.recipe, protocol.seed, None, after_epoch)
    return EvaluatedHead(fitted, result, found.predictions, threshold, found.thresholds, everything, everything)


def hold_out(
    samples: FeatureSet,
    protocol: TrainingProtocol,
    sides: tuple[np.ndarray, np.ndarray],
    log: Log,
    after_epoch: AfterEpoch,
    inner_features: Callable[[], np.ndarray],
) -> EvaluatedHead:
    """Fit a head to some images and evaluate it on the others.

    Parameters
    ----------
    samples : FeatureSet
    protocol : TrainingProtocol
    sides : tuple of ndarray of int
        Training images, held-out images.
    log : Log
    after_epoch : callable
    inner_features : callable
        Returns features of the training images as they are, should a threshold be chosen on them.

    Returns
    -------
    EvaluatedHead

    Raises
    ------
    InputError
        If a threshold is to be chosen, and a class has too few patients for it.
    """
    (train, held_out), positive, point = sides, protocol.positive, protocol.point
    threshold = point.threshold
    if point.sensitivity:
        log.info("choosing the threshold on training patients...")
        with log.timed("choose the threshold"):
            inside = replace(samples.subset(train), features=inner_features())
            threshold = crossvalidation.inner_threshold(
                inside, positive, point.sensitivity, protocol.recipe, protocol.seed
            )
    log.info("training the head...")
    with log.timed("train the head"):
        fitted = samples.fit(train, protocol.recipe, protocol.seed, held_out, after_epoch)
    probabilities = samples.predict_proba(fitted, held_out)
    predictions = Predictions.of_one_model(
        samples.labels[held_out], samples.patients[held_out], probabilities, predict(probabilities, positive, threshold)
    )
    result = evaluate(predictions, samples.classes, positive)
    return EvaluatedHead(fitted, result, predictions, threshold, [], train, held_out)
