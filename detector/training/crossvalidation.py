"""Cross-validation on features, in which no patient is on both sides, and the operating point chosen inside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.cli.output import progress
from detector.statistics.evaluation import Predictions, predict
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.training.feature_set import FeatureSet, FittedHead
from detector.training.recipes import Recipe

INNER_FOLDS = 3


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of heads on images that they had not seen.

    Attributes
    ----------
    predictions : Predictions
        By the operating point of each fold.
    thresholds : list of float
        One of each fold, where they were chosen.
    heads : list of FittedHead
        One of each fold, those of the first repeat first.
    """

    predictions: Predictions
    thresholds: list[float]
    heads: list[FittedHead]


def threshold_for(sensitivity: float, scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the highest threshold at which at least a share of the positives is predicted positive.

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
    # 0.56 × 25 is a little more than 14 in floating point.
    wanted = int(np.ceil(round(sensitivity * len(positives), 9)))
    return float(positives[max(wanted, 1) - 1])


def inner_threshold(samples: FeatureSet, positive: int, sensitivity: float, recipe: Recipe, seed: int) -> float:
    """Choose an operating point on a training side alone, from predictions of parts of it that a head did not see.

    Returns
    -------
    float
        Of the positive class's probability.

    Raises
    ------
    InputError
        If a class has too few patients.
    """
    try:
        plan = draw_folds(samples.labels, samples.groups, samples.classes, INNER_FOLDS, 1, seed)
    except TooFewPatientsError as error:
        raise TooFewPatientsError(
            f"--target-sensitivity chooses the threshold in {INNER_FOLDS} folds of the training images, for which a "
            "class has too few patients; add patients, or give --threshold"
        ) from error
    found = out_of_fold(samples, positive, recipe, plan).predictions
    return threshold_for(sensitivity, found.probabilities[0][:, positive], samples.labels == positive)


@dataclass(frozen=True)
class OperatingPoint:
    """From which probability on an image is predicted positive: as given, chosen for a sensitivity, or the likeliest.

    Attributes
    ----------
    threshold : float, optional
        A fixed one.
    sensitivity : float, optional
        Choose the threshold of each fold on its training side, to reach this.
    """

    threshold: float | None = None
    sensitivity: float | None = None


def out_of_fold(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    plan: FoldPlan,
    point: OperatingPoint = OperatingPoint(),
    quiet: bool = True,
) -> OutOfFold:
    """Cross-validate.

    Parameters
    ----------
    samples : FeatureSet
    positive : int
        Index of the positive class.
    recipe : TutorialRecipe or ProbeRecipe
    plan : FoldPlan
    point : OperatingPoint, optional
        By default the likeliest class is predicted.
    quiet : bool
        Show no progress.

    Returns
    -------
    OutOfFold
    """
    n, repeats = len(samples.labels), len(plan.repeats)
    probabilities = np.empty((repeats, n, len(samples.classes)))
    predicted = np.empty((repeats, n), int)
    thresholds: list[float] = []
    heads: list[FittedHead] = []
    for repeat, fold, train, held_out in progress(plan, len(plan), "folds", quiet, "fold"):
        own_seed = plan.seed_of(repeat, fold)
        fitted = samples.fit(train, recipe, own_seed)
        heads.append(fitted)
        probabilities[repeat, held_out] = samples.predict_proba(fitted, held_out)
        at = point.threshold
        if point.sensitivity is not None:
            at = inner_threshold(samples.subset(train), positive, point.sensitivity, recipe, own_seed)
            thresholds.append(at)
        predicted[repeat, held_out] = predict(probabilities[repeat, held_out], positive, at)
    predictions = Predictions(samples.labels, samples.patients, probabilities, predicted, plan.folds)
    return OutOfFold(predictions, thresholds, heads)
