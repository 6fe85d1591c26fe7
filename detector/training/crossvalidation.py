"""Fit heads to some images and evaluate them on others: a hold-out, a cross-validation, sites left out in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.cli.output import Log, progress
from detector.datasets.dataset import Dataset
from detector.network.head import AfterEpoch
from detector.statistics.evaluation import Evaluation, Predictions, evaluate, predict
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.statistics.strata import comparable
from detector.training.dataset import FeatureSet, FittedHead
from detector.training.recipes import ProbeRecipe, Recipe

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
        found = out_of_fold(samples, positive, protocol.recipe, plan, point, log.quiet)
        result = evaluate(found.predictions, samples.classes, positive)
        if point.sensitivity:
            scores = found.predictions.probabilities[0][:, positive]
            threshold = threshold_for(point.sensitivity, scores, samples.labels == positive)
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
            threshold = inner_threshold(inside, positive, point.sensitivity, protocol.recipe, protocol.seed)
    log.info("training the head...")
    with log.timed("train the head"):
        fitted = samples.fit(train, protocol.recipe, protocol.seed, held_out, after_epoch)
    probabilities = samples.predict_proba(fitted, held_out)
    predictions = Predictions.of_one_model(
        samples.labels[held_out], samples.patients[held_out], probabilities, predict(probabilities, positive, threshold)
    )
    result = evaluate(predictions, samples.classes, positive)
    return EvaluatedHead(fitted, result, predictions, threshold, [], train, held_out)


@dataclass(frozen=True)
class LeftOutSite:
    """Metrics of a detector on a site that it was not trained on."""

    site: str
    roc_auc: Metric
    sensitivity: Metric
    specificity: Metric


def sites_of_both_classes(images: Dataset, positive: int) -> list[str]:
    """Return the sites that hold images of the positive class and of another.

    Raises
    ------
    InputError
        If there is none, or if without one of them a class is gone.
    """
    name = images.classes[positive]
    labels: dict[str, set[str]] = {}
    for image in images.images:
        labels.setdefault(image.site, set()).add(image.label)
    both = sorted(site for site, found in labels.items() if site and name in found and len(found) > 1)
    if not both:
        raise InputError(
            f"--leave-one-site-out: no site holds both {name} and another class; add controls of the same site"
        )
    for held_out in both:
        left = {label for site, found in labels.items() if site != held_out for label in found}
        if gone := sorted(set(images.classes) - left):
            raise InputError(
                f"--leave-one-site-out: without {held_out} no {', '.join(gone)} is left to train on; add images of "
                "another site"
            )
    return both


def evaluate_left_out(
    samples: FeatureSet, sites: np.ndarray, site: str, protocol: TrainingProtocol, adjust: str
) -> LeftOutSite:
    """Train on all other sites, and test on this one; its patients' images elsewhere are not trained on.

    Parameters
    ----------
    samples : FeatureSet
    sites : ndarray of shape (n,), str
    site : str
    protocol : TrainingProtocol
    adjust : {"auto", "strata", "none"}
        With ``"auto"``, a probe is fitted within strata where those that are left allow it.

    Returns
    -------
    LeftOutSite

    Raises
    ------
    InputError
        If one class is left to train on.
    """
    held_out = np.flatnonzero(sites == site)
    train = np.flatnonzero((sites != site) & ~np.isin(samples.groups, samples.groups[held_out]))
    classes = len(samples.classes)
    if len(set(samples.labels[train])) < classes:
        raise InputError(
            f"--leave-one-site-out: without the patients of {site} one class is left to train on; add images of "
            "another site"
        )
    recipe = protocol.recipe
    if isinstance(recipe, ProbeRecipe) and adjust == "auto":
        recipe = replace(recipe, adjusted=comparable(samples.labels[train], samples.strata[train], classes))
    threshold = protocol.point.threshold
    if protocol.point.sensitivity is not None:
        inside = samples.subset(train)
        threshold = inner_threshold(inside, protocol.positive, protocol.point.sensitivity, recipe, protocol.seed)
    fitted = samples.fit(train, recipe, protocol.seed)
    probabilities = samples.predict_proba(fitted, held_out)
    predictions = Predictions.of_one_model(
        samples.labels[held_out],
        samples.groups[held_out],
        probabilities,
        predict(probabilities, protocol.positive, threshold),
    )
    result = evaluate(predictions, samples.classes, protocol.positive)
    return LeftOutSite(site, result.roc_auc, result.sensitivity, result.specificity)
