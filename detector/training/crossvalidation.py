"""Fit heads to some images and evaluate them on others: one loop over the folds of a plan.

A hold-out is a plan of one fold; a site that is left out is one, too. No patient is on both sides of a fold, and an
operating point that is chosen for a sensitivity is chosen on the training side alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.cli.output import Log, progress
from detector.network.head import AfterEpoch
from detector.statistics.evaluation import Evaluation, Predictions, evaluate, predict
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.training.dataset import FeatureSet, FittedHead
from detector.training.options import OperatingPoint
from detector.training.recipes import Recipe

INNER_FOLDS = 3
LIKELIEST = OperatingPoint()


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of heads on images that they had not seen.

    Attributes
    ----------
    predictions : Predictions
        Of the images that the plan holds out, by the operating point of each fold.
    thresholds : list of float
        One of each fold, where they were chosen.
    heads : list of FittedHead
        One of each fold, those of the first repeat first.
    """

    predictions: Predictions
    thresholds: list[float]
    heads: list[FittedHead]


def out_of_fold(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    plan: FoldPlan,
    point: OperatingPoint = LIKELIEST,
    quiet: bool = True,
    after_epoch: AfterEpoch | None = None,
) -> OutOfFold:
    """Fit a head to the training side of each fold, and predict the images that the fold holds out.

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
    after_epoch : callable, optional
        Of a plan of one fold: called after each epoch, with metrics on the held-out images as well.
    """
    rows = plan.held_out
    probabilities = np.empty((len(plan.repeats), len(rows), len(samples.classes)))
    predicted = np.empty(probabilities.shape[:2], int)
    thresholds: list[float] = []
    heads: list[FittedHead] = []
    for repeat, fold, train, held_out in progress(plan, len(plan), "folds", quiet or len(plan) == 1, "fold"):
        seed, at = plan.seed_of(repeat, fold), point.threshold
        if point.sensitivity is not None:
            at = inner_threshold(samples.subset(train), positive, point.sensitivity, recipe, seed)
            thresholds.append(at)
        heads.append(samples.fit(train, recipe, seed, held_out if after_epoch else None, after_epoch))
        found = samples.predict_proba(heads[-1], held_out)
        there = np.searchsorted(rows, held_out)
        probabilities[repeat, there], predicted[repeat, there] = found, predict(found, positive, at)
    predictions = Predictions(samples.labels[rows], samples.patients[rows], probabilities, predicted, plan.folds)
    return OutOfFold(predictions, thresholds, heads)


def inner_threshold(samples: FeatureSet, positive: int, sensitivity: float, recipe: Recipe, seed: int) -> float:
    """Choose a threshold on a training side alone, from predictions of parts of it that a head did not see."""
    try:
        plan = draw_folds(samples.labels, samples.groups, samples.classes, INNER_FOLDS, 1, seed)
    except TooFewPatientsError as error:
        raise TooFewPatientsError(
            f"--target-sensitivity chooses the threshold in {INNER_FOLDS} folds of the training images, for which a "
            "class has too few patients; add patients, or give --threshold"
        ) from error
    found = out_of_fold(samples, positive, recipe, plan).predictions
    return threshold_for(sensitivity, found.probabilities[0][:, positive], samples.labels == positive)


def threshold_for(sensitivity: float, scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the highest threshold at which at least a share of the positives is predicted positive."""
    positives = np.sort(scores[is_positive])[::-1]
    # 0.56 × 25 is a little more than 14 in floating point.
    wanted = int(np.ceil(round(sensitivity * len(positives), 9)))
    return float(positives[max(wanted, 1) - 1])


@dataclass(frozen=True)
class EvaluatedHead:
    """The head that a run saves, and the evaluation of its recipe.

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


def evaluate_recipe(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    plan: FoldPlan,
    point: OperatingPoint,
    log: Log,
    after_epoch: AfterEpoch,
) -> EvaluatedHead:
    """Evaluate a recipe by a plan; the head that is saved is that of a single fold, or one fitted to all images."""
    once = len(plan) == 1
    repeated = f", {len(plan.repeats)} repeats" if len(plan.repeats) > 1 else ""
    log.info("training the head..." if once else f"cross-validating: {len(plan.repeats[0])} folds{repeated}...")
    with log.timed("train the head" if once else "cross-validate"):
        found = out_of_fold(samples, positive, recipe, plan, point, log.quiet, after_epoch if once else None)
    fitted, predictions = found.heads[0], found.predictions
    threshold, thresholds = point.threshold, found.thresholds
    if once and thresholds:
        threshold, thresholds = thresholds[0], []
    elif thresholds:
        scores = predictions.probabilities[0][:, positive]
        threshold = threshold_for(point.sensitivity or 0, scores, predictions.labels == positive)
    if not once:
        log.info("training the head on all images...")
        with log.timed("train the head"):
            fitted = samples.fit(plan.train, recipe, plan.seed, None, after_epoch)
    log.info(f"evaluating on {'test images' if once else 'out-of-fold predictions'}...")
    result = evaluate(predictions, samples.classes, positive)
    return EvaluatedHead(fitted, result, predictions, threshold, thresholds, plan.train, plan.held_out)


@dataclass(frozen=True)
class LeftOutSite:
    """Metrics of a detector on a site that it was not trained on."""

    site: str
    roc_auc: Metric
    sensitivity: Metric
    specificity: Metric


def leave_sites_out(
    samples: FeatureSet, sites: np.ndarray, positive: int, recipe: Recipe, point: OperatingPoint, seed: int
) -> list[LeftOutSite]:
    """Hold out each site with both classes in turn (internal-external validation), a plan of one fold each.

    Reference: T. P. A. Debray et al., "A new framework to enhance the interpretation of external validation studies of
    clinical prediction models", Journal of Clinical Epidemiology 68 (2015); TRIPOD+AI, item 12d.

    Parameters
    ----------
    samples : FeatureSet
    sites : ndarray of shape (n,), str
        Empty where it is not known.
    positive : int
    recipe : TutorialRecipe or ProbeRecipe
    point : OperatingPoint
    seed : int
    """
    samples = replace(samples, groups=samples.patients)
    found = []
    for site in sites_of_both_classes(samples.labels, sites, positive, samples.classes):
        held_out = np.flatnonzero(sites == site)
        # Its patients' images elsewhere are not trained on.
        train = np.flatnonzero(~np.isin(samples.groups, samples.groups[held_out]))
        if len(set(samples.labels[train])) < len(samples.classes):
            raise InputError(
                f"--leave-one-site-out: without the patients of {site} one class is left to train on; add images of "
                "another site"
            )
        predictions = out_of_fold(samples, positive, recipe, FoldPlan([[(train, held_out)]], seed), point).predictions
        result = evaluate(predictions, samples.classes, positive)
        found.append(LeftOutSite(site, result.roc_auc, result.sensitivity, result.specificity))
    return found


def sites_of_both_classes(labels: np.ndarray, sites: np.ndarray, positive: int, classes: list[str]) -> list[str]:
    """Return the sites that hold images of the positive class and of another; every class must be left elsewhere."""
    name = classes[positive]
    both = [
        str(site)
        for site in np.unique(sites[sites != ""])
        if positive in labels[sites == site] and len(set(labels[sites == site])) > 1
    ]
    if not both:
        raise InputError(
            f"--leave-one-site-out: no site holds both {name} and another class; add controls of the same site"
        )
    for held_out in both:
        left = set(labels[sites != held_out])
        if gone := [one for index, one in enumerate(classes) if index not in left]:
            raise InputError(
                f"--leave-one-site-out: without {held_out} no {', '.join(gone)} is left to train on; add images of "
                "another site"
            )
    return both
