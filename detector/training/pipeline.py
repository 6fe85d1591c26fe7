"""The steps of a training run, in their order: images, split, features, a fitted and evaluated head."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detector.command_line import Log
from detector.datasets import clinical, dataset
from detector.datasets.dataset import Dataset
from detector.datasets.folders import class_named
from detector.images.inspection import first_names, named_notes
from detector.images.lungs import describe
from detector.images.occlusion import LUNGS_ONLY, Occlusion
from detector.statistics import split
from detector.statistics.split import FoldPlan
from detector.training.adjustment import is_adjusted
from detector.training.crossvalidation import OperatingPoint
from detector.training.evaluation_result import Outcome, cross_validate, hold_out
from detector.training.extraction import FeatureExtractor
from detector.training.feature_set import FeatureSet, extract
from detector.training.leave_one_out import LeftOut, evaluate_left_out, sources_of_both_classes
from detector.training.recipes import ProbeRecipe, Recipe


@dataclass(frozen=True)
class Split:
    """Which images are trained on and which evaluated: all of both in a cross-validation.

    Attributes
    ----------
    kind : {"patient", "image"}
        What is kept whole.
    train, held_out : ndarray of int
    plan : FoldPlan or None
        The folds of a cross-validation.
    """

    kind: str
    train: np.ndarray
    held_out: np.ndarray
    plan: FoldPlan | None = None


def load_images(options: argparse.Namespace) -> Dataset:
    """List the images, and refuse classes and clinical columns that cannot be trained on.

    Raises
    ------
    InputError
    """
    images = dataset.load(options.dataset)
    options.positive = class_named(images.classes, options.positive, options.dataset)
    table = [image.row for image in images.images]
    clinical.fit(options.columns, table)
    if not options.allow_missing_shortcut:
        clinical.require_no_missing_shortcut(options.columns, table, images.labels)
    return images


def look_at_lungs_only(options: argparse.Namespace, extractor: FeatureExtractor, log: Log) -> None:
    """Let every feature from now on be of the lungs alone, if that is asked for, and name images without any."""
    if options.lungs != "only":
        return
    log.info("finding lungs; all but these is blacked out...")
    extractor.hide = Occlusion(LUNGS_ONLY)
    with log.timed("find lungs"):
        lungs = [describe(mask) for mask in extractor.lungs(range(len(extractor.dataset.images)))]
    images = zip(extractor.dataset.images, lungs, strict=True)
    for note in named_notes((image.file, "" if one.found else f"{one.warning} in it") for image, one in images):
        log.info(note)


def choose_split(options: argparse.Namespace, extractor: FeatureExtractor, log: Log) -> Split:
    """Split the images, keeping patients whole where any is known and nothing else is asked for.

    Raises
    ------
    InputError
        If a class has too few patients or images.
    """
    images, labels = extractor.dataset, extractor.dataset.labels
    known = sum(image.patient is not None for image in images.images)
    kind = options.split or ("patient" if known else "image")
    if kind == "patient":
        log.info(split.describe_patients(known, len(labels), len(set(extractor.patients))))
        if extractor.duplicates:
            files = [" = ".join(images.images[row].file for row in pair) for pair in extractor.duplicates]
            log.info(f"near duplicates, whose patients count as one person: {first_names(files, 20)}")
    else:
        log.info("images are split whoever they are of: a person may be on both sides")
    if options.folds:
        groups = extractor.groups(kind)
        plan = split.draw_folds(labels, groups, images.classes, options.folds, options.repeats, options.seed)
        everything = np.arange(len(labels))
        return Split(kind, everything, everything, plan)
    if kind == "patient":
        sides = split.by_patient(labels, extractor.patients, images.classes, options.test_size, options.seed)
    else:
        sides = split.by_image(labels, images.classes, options.test_size, options.seed)
    train, held_out = sides
    log.info(f"{len(train)} images to train on, {len(held_out)} held out, split by {kind} with seed {options.seed}")
    return Split(kind, train, held_out)


def decide_adjustment(
    options: argparse.Namespace, recipe: Recipe, extractor: FeatureExtractor, chosen: Split, log: Log
) -> Recipe:
    """Return the recipe; a probe's with the decision whether it is fitted within strata.

    Raises
    ------
    InputError
        If strata are asked for that do not hold two classes.
    """
    if not isinstance(recipe, ProbeRecipe):
        return recipe
    images = extractor.dataset
    strata = np.array([image.stratum for image in images.images])
    sides = [chosen.train, *(chosen.plan.training_sides if chosen.plan else [])]
    return replace(recipe, adjusted=is_adjusted(options.adjust, images.labels, strata, images.classes, sides, log))


def compute_features(
    options: argparse.Namespace, recipe: Recipe, extractor: FeatureExtractor, chosen: Split, log: Log
) -> FeatureSet:
    """Send the images through VGG16, where the cache does not know what comes out."""
    log.info(f"computing features ({extractor.precision} for training copies, weights: {extractor.weights_origin})...")
    images = extractor.dataset
    with log.timed("forward"):
        return extract(
            extractor,
            recipe,
            images.classes,
            images.labels,
            range(len(images.images)),
            options.seed,
            groups=extractor.groups(chosen.kind),
            train=chosen.train,
            held_out=chosen.held_out,
            clinical_columns=options.columns,
        )


def fit_and_evaluate(
    options: argparse.Namespace,
    recipe: Recipe,
    extractor: FeatureExtractor,
    samples: FeatureSet,
    positive: int,
    chosen: Split,
    log: Log,
) -> Outcome:
    """Cross-validate, or fit to one side and evaluate on the other.

    Raises
    ------
    InputError
        If a class has too few patients for what was asked.
    """
    point = OperatingPoint(options.threshold, options.sensitivity)
    tell = _epoch_teller(options)
    if chosen.plan:
        outcome = cross_validate(samples, positive, recipe, chosen.plan, point, log, tell)
        log.info("evaluating on out-of-fold predictions...")
        return outcome
    sides = chosen.train, chosen.held_out
    outcome = hold_out(
        samples, positive, recipe, *sides, options.seed, point, log, tell, lambda: extractor.features(chosen.train)
    )
    log.info("evaluating on held-out images...")
    return outcome


def leave_sources_out(
    options: argparse.Namespace, recipe: Recipe, extractor: FeatureExtractor, positive: int, log: Log
) -> list[LeftOut]:
    """Hold out each site with both classes in turn, if that is asked for.

    Raises
    ------
    InputError
        If no site has both classes, or one class is left without it.
    """
    if not options.leave_one_source_out:
        return []
    images = extractor.dataset
    sources = sources_of_both_classes(images, positive)
    log.info(f"leaving out {', '.join(sources)} in turn...")
    with log.timed("leave sources out"):
        samples = extract(
            extractor,
            recipe,
            images.classes,
            images.labels,
            range(len(images.images)),
            options.seed,
            clinical_columns=options.columns,
        )
        sites = np.array([image.site for image in images.images])
        return [
            evaluate_left_out(samples, sites, source, positive, recipe, options.adjust, options.seed)
            for source in sources
        ]


def _epoch_teller(options: argparse.Namespace) -> Callable[[int, dict[str, float]], object]:
    def tell(epoch: int, figures: dict[str, float]) -> None:
        if not options.quiet:
            text = " - ".join(f"{name}: {value:.4f}" for name, value in figures.items())
            print(f"Epoch {epoch}/{options.epochs} - {text}", flush=True)

    return tell
