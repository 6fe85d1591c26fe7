"""A training run: images and their split, features, one loop over the folds of a plan, the model and its Grad-CAM.

A hold-out is a plan of one fold; a site that is left out is one, too. No patient is on both sides of a fold, and an
operating point that is chosen for a sensitivity is chosen on the training side alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from detector import InputError, counted
from detector.cli.output import Log, progress
from detector.datasets import clinical, dataset
from detector.datasets.dataset import Dataset, class_named
from detector.network.backbone import COLUMNS
from detector.network.head import AfterEpoch, TrainedHead
from detector.network.model_file import Description, SavedModel, TrainingSummary, shortened
from detector.statistics.auc import Scores, auc_difference
from detector.statistics.evaluation import Evaluation, Predictions, evaluate, predict
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds, hold_out
from detector.statistics.strata import holding_two_classes
from detector.training.dataset import FeatureExtractor, FeatureSet, extract
from detector.training.options import OutcomeOptions, TrainingOptions
from detector.training.recipes import Recipe

INNER_FOLDS = 3
LIKELIEST = OutcomeOptions()
NO_HEAD = TrainedHead([])


def load_images(options: TrainingOptions) -> tuple[Dataset, int]:
    """List the images, and reject classes and clinical columns that cannot be trained on."""
    images = dataset.load(options.dataset, options.patient_from)
    positive = images.classes.index(class_named(images.classes, options.positive_class, options.dataset))
    table = [image.row for image in images.images]
    clinical.fit(options.clinical_columns, table)
    if not options.allow_informative_missingness:
        clinical.require_no_missing_shortcut(options.clinical_columns, table, images.labels)
    return images, positive


def choose_split(options: TrainingOptions, extractor: FeatureExtractor) -> tuple[str, FoldPlan]:
    """Split the images, keeping patients whole where any is known and nothing else is asked for.

    Where none is known they are split by image, as in the tutorial; the check of duplicates warns of copies on both
    sides, which ``--split patient`` keeps together.
    """
    images, labels, log, seed = extractor.dataset, extractor.dataset.labels, extractor.log, options.seed
    known = sum(image.patient is not None for image in images.images)
    kind = options.split or ("patient" if known else "image")
    if kind == "patient":
        others = "every other image is assumed to be of a patient of its own"
        everyone = f"{len(labels)} images of {len(set(extractor.patients))} patients"
        log.info(
            everyone if known == len(labels) else f"the patient of {known} of {len(labels)} images is known; {others}"
        )
    else:
        log.info("images are split at random: a patient may be on both sides")
    if options.folds:
        whole = extractor.groups(kind)
        return kind, draw_folds(labels, whole, images.classes, options.folds, options.repeats, seed)
    patients = extractor.patients if kind == "patient" else None
    plan = hold_out(labels, patients, images.classes, options.test_size, seed)
    log.info(f"{len(plan.train)} training images, {len(plan.held_out)} test images, split by {kind} with seed {seed}")
    return kind, plan


def compute_features(
    options: TrainingOptions, recipe: Recipe, extractor: FeatureExtractor, kind: str, plan: FoldPlan
) -> FeatureSet:
    """Compute the features that a recipe needs, where they are not cached.

    A hold-out trains on some images and evaluates the others; to leave out sites, or to choose a threshold on the
    training side, every image has to be trained on and evaluated.
    """
    images, extractor = extractor.dataset, replace(extractor, columns=COLUMNS[recipe.name, recipe.pooling])
    everything = np.arange(len(images.images))
    train = everything if options.leave_one_site_out else plan.train
    held_out = everything if options.leave_one_site_out or options.target_sensitivity else plan.held_out
    with extractor.log.timed("forward"):
        found = extract(extractor, recipe, plan.seed, everything, images.labels, images.classes, (train, held_out))
    return replace(found, groups=extractor.groups(kind), clinical=options.clinical_columns)


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


def adjustment_line(evaluated: EvaluatedHead, samples: FeatureSet) -> str:
    """Return whether the saved head was fitted within site and view, in a line."""
    if not evaluated.head.adjusted:
        return (
            "not adjusted for site and view: none contains enough images of both classes, so the model may learn the "
            "site instead of the disease, and no metric here can show which"
        )
    strata = samples.strata[evaluated.train]
    kept = holding_two_classes(samples.labels[evaluated.train], strata)
    number, images = len(set(strata[kept])), counted(len(kept), "training image")
    if kept.all() and number == 1:
        return f"all {images} share one site and view, so the site cannot explain the result"
    left_out = "" if kept.all() else f"; the other {(~kept).sum()} are left out of the fit"
    where = counted(number, "combination")
    return f"fitted to {kept.sum()} of {images}, in {where} of site and view with both classes{left_out}"


def saved_model(
    evaluated: EvaluatedHead, recipe: Recipe, extractor: FeatureExtractor, summary: TrainingSummary | None
) -> SavedModel:
    """Return what the model's file holds: base, trained head, and what it says of itself."""
    result, seen = evaluated.evaluation, (extractor.properties[row] for row in evaluated.train)
    description = Description(
        result.classes,
        result.positive,
        recipe.name,
        recipe.pooling,
        evaluated.threshold,
        evaluated.head.columns,
        summary=summary,
        training_images=tuple(shortened(one.digest) for one in seen),
    )
    return SavedModel(extractor.backbone.weights, evaluated.head.weights, description, None)


def most_confident_errors_first(evaluated: EvaluatedHead) -> np.ndarray:
    """Return the order of test images: errors first, the most confident on top, then the others in reverse."""
    labels, predicted = evaluated.predictions.labels, evaluated.predictions.predicted[0]
    confidence = evaluated.predictions.probabilities[0][np.arange(len(predicted)), predicted]
    wrong = predicted != labels
    return np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))


def grad_cam(evaluated: EvaluatedHead, extractor: FeatureExtractor, positions: np.ndarray) -> list[np.ndarray]:
    """Return the Grad-CAM of test images for their predicted classes, (14, 14) each, in [0, 1]."""
    rows, predicted = evaluated.held_out[positions], evaluated.predictions.predicted[0][positions]
    return extractor.heat_maps(evaluated.head, rows, predicted)
