"""The steps of a training run, in their order: images, split, features, the model and its Grad-CAM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detector import counted
from detector.datasets import clinical, dataset
from detector.datasets.dataset import Dataset, class_named
from detector.network.backbone import COLUMNS
from detector.network.model_file import Description, SavedModel, TrainingSummary, shortened
from detector.statistics import split
from detector.statistics.split import FoldPlan
from detector.statistics.strata import holding_two_classes
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor, FeatureSet, extract
from detector.training.options import TrainingOptions
from detector.training.recipes import Recipe


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
        return kind, split.draw_folds(labels, whole, images.classes, options.folds, options.repeats, seed)
    patients = extractor.patients if kind == "patient" else None
    plan = split.hold_out(labels, patients, images.classes, options.test_size, seed)
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
