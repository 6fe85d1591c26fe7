"""Fit heads to some images and evaluate them on others: one loop over the folds of a plan.

A hold-out is a plan of one fold; a site that is left out is one, too. No patient is on both sides of a fold, and an
operating point that is chosen for a sensitivity is chosen on the training side alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.cli.output import Log, progress
from detector.network.head import AfterEpoch, TrainedHead
from detector.statistics.auc import Scores, auc_difference
from detector.statistics.evaluation import Evaluation, Predictions, evaluate, predict
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.training.dataset import FeatureExtractor, FeatureSet
from detector.training.options import OutcomeOptions
from detector.training.recipes import Recipe

INNER_FOLDS = 3
LIKELIEST = OutcomeOptions()
NO_HEAD = TrainedHead([])


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of heads on images that they had not seen.

    Attributes
    ----------
    predictions : Predictions
        Of the images that the plan holds out, by the operating point of each fold.
    thresholds : list of float
        One of each fold, where they were chosen.
    heads : list of TrainedHead
        One of each fold, those of the first repeat first.
    """

    predictions: Predictions
    thresholds: list[float]
    heads: list[TrainedHead]


def out_of_fold(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    plan: FoldPlan,
    point: OutcomeOptions = LIKELIEST,
    quiet: bool = True,
    after_epoch: AfterEpoch | None = None,
) -> OutOfFold:
    """Fit a head to the training side of each fold, and predict the images that the fold holds out.

    Parameters
    ----------
    positive : int
        Index of the positive class.
    point : OutcomeOptions, optional
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
    heads: list[TrainedHead] = []
    for repeat, fold, train, held_out in progress(plan, len(plan), "folds", quiet or len(plan) == 1, "fold"):
        seed, at = plan.seed_of(repeat, fold), point.threshold
        if point.target_sensitivity is not None:
            at = inner_threshold(samples, train, positive, point.target_sensitivity, recipe, seed)
            thresholds.append(at)
        heads.append(samples.fit(train, recipe, seed, held_out if after_epoch else None, after_epoch))
        found = samples.predict_proba(heads[-1], held_out)
        there = np.searchsorted(rows, held_out)
        probabilities[repeat, there], predicted[repeat, there] = found, predict(found, positive, at)
    predictions = Predictions(samples.labels[rows], samples.patients[rows], probabilities, predicted, plan.folds)
    return OutOfFold(predictions, thresholds, heads)


def inner_threshold(
    samples: FeatureSet, rows: np.ndarray, positive: int, sensitivity: float, recipe: Recipe, seed: int
) -> float:
    """Choose a threshold on a training side alone, from predictions of parts of it that a head did not see."""
    try:
        [folds] = draw_folds(samples.labels[rows], samples.groups[rows], samples.classes, INNER_FOLDS, 1, seed).repeats
    except TooFewPatientsError as error:
        raise TooFewPatientsError(
            f"--target-sensitivity chooses the threshold in {INNER_FOLDS} folds of the training images, for which a "
            "class has too few patients; add patients, or give --threshold"
        ) from error
    plan = FoldPlan([[(rows[train], rows[held_out]) for train, held_out in folds]], seed)
    found = out_of_fold(samples, positive, recipe, plan).predictions
    return threshold_for(sensitivity, found.probabilities[0][:, positive], found.labels == positive)


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
    head : TrainedHead
        Without weights where the predictions are those of another program.
    predictions : Predictions
        On the held-out images, by heads that had not seen them.
    threshold : float or None
        Of the saved model.
    thresholds : list of float
        Of each fold, where they were chosen for a sensitivity: those that sensitivity and specificity are judged at.
    train, held_out : ndarray of int
        All images both times in a cross-validation.
    """

    head: TrainedHead
    evaluation: Evaluation
    predictions: Predictions
    threshold: float | None
    thresholds: list[float]
    train: np.ndarray
    held_out: np.ndarray


def evaluate_once(
    extractor: FeatureExtractor,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    positive: str,
    threshold: float | None,
    head: TrainedHead = NO_HEAD,
) -> EvaluatedHead:
    """Compare one model's predictions with the truth, on images of which it was trained on none."""
    images, rows = extractor.dataset, np.arange(len(predicted))
    predictions = Predictions.of_one_model(images.labels, extractor.patients, probabilities, predicted)
    found = evaluate(predictions, images.classes, images.classes.index(positive))
    return EvaluatedHead(head, found, predictions, threshold, [], rows[:0], rows)


def evaluate_recipe(
    samples: FeatureSet,
    positive: int,
    recipe: Recipe,
    plan: FoldPlan,
    point: OutcomeOptions,
    log: Log,
    after_epoch: AfterEpoch,
) -> EvaluatedHead:
    """Evaluate a recipe by a plan; the head that is saved is that of a single fold, or one fitted to all images."""
    once = len(plan) == 1
    repeated = f", {len(plan.repeats)} repeats" if len(plan.repeats) > 1 else ""
    log.info("training the head..." if once else f"cross-validating: {len(plan.repeats[0])} folds{repeated}...")
    with log.timed("train the head" if once else "cross-validate"):
        found = out_of_fold(samples, positive, recipe, plan, point, log.quiet, after_epoch if once else None)
    head, predictions, threshold, thresholds = found.heads[0], found.predictions, point.threshold, found.thresholds
    if once and thresholds:
        threshold, thresholds = thresholds[0], []
    if not once:
        if point.target_sensitivity is not None:
            scores = predictions.probabilities[0][:, positive]
            threshold = threshold_for(point.target_sensitivity, scores, predictions.labels == positive)
        log.info("training the head on all images...")
        with log.timed("train the head"):
            head = samples.fit(plan.train, recipe, plan.seed, None, after_epoch)
    log.info(f"evaluating on {'test images' if once else 'out-of-fold predictions'}...")
    result = evaluate(predictions, samples.classes, positive)
    return EvaluatedHead(head, result, predictions, threshold, thresholds, plan.train, plan.held_out)


@dataclass(frozen=True)
class RecipeComparison:
    """The ROC AUC of two recipes on the same images, and the difference.

    Attributes
    ----------
    recipe, compared_with : str
        Recipe and pooling, such as ``"probe:lungs"``: the trained one, and the other.
    roc_auc, compared_roc_auc : Metric
        Of each.
    difference : Metric
        The first minus the second.
    """

    recipe: str
    compared_with: str
    roc_auc: Metric
    compared_roc_auc: Metric
    difference: Metric


def compared(names: tuple[str, str], one: Scores, other: Scores, seed: int) -> RecipeComparison:
    """Compare the scores of two models or recipes on the same images, folds and repeats."""
    return RecipeComparison(*names, one.auc(), other.auc(), auc_difference(one, other, seed))


def site_plans(extractor: FeatureExtractor, positive: int, seed: int) -> dict[str, FoldPlan]:
    """Return a plan of one fold for each site that has images of the positive class and of another: it is held out."""
    images, patients, labels, plans = extractor.dataset, extractor.patients, extractor.dataset.labels, {}
    sites = np.array([image.site for image in images.images])
    for site in sorted(set(sites.tolist()) - {""}):
        held_out = np.flatnonzero(sites == site)
        if positive not in labels[held_out] or len(set(labels[held_out])) == 1:
            continue
        train = np.flatnonzero(~np.isin(patients, patients[held_out]))
        if gone := [name for index, name in enumerate(images.classes) if index not in labels[train]]:
            raise InputError(
                f"--leave-one-site-out: without the patients of {site} no {', '.join(gone)} is left to train on; add "
                "images of another site"
            )
        plans[site] = FoldPlan([[(train, held_out)]], seed)
    if not plans:
        raise InputError(
            f"--leave-one-site-out: no site holds both {images.classes[positive]} and another class; add controls of "
            "the same site"
        )
    return plans


def leave_sites_out(
    samples: FeatureSet, positive: int, recipe: Recipe, plans: Mapping[str, FoldPlan], point: OutcomeOptions
) -> dict[str, Evaluation]:
    """Test on each site a head that is trained on all others (internal-external validation).

    Reference: T. P. A. Debray et al., "A new framework to enhance the interpretation of external validation studies of
    clinical prediction models", Journal of Clinical Epidemiology 68 (2015); TRIPOD+AI, item 12d.
    """
    samples = replace(samples, groups=samples.patients)
    return {
        site: evaluate(out_of_fold(samples, positive, recipe, plan, point).predictions, samples.classes, positive)
        for site, plan in plans.items()
    }
