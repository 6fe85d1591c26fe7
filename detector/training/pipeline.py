"""The steps of a training run, in their order: images, split, features, a fitted and evaluated head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detector import first_names
from detector.datasets import clinical, dataset
from detector.datasets.dataset import Dataset
from detector.datasets.folders import class_named
from detector.images.duplicates import with_change
from detector.images.occlusion import LUNGS_ONLY, Occlusion
from detector.network.head import AfterEpoch
from detector.statistics import split
from detector.statistics.split import FoldPlan
from detector.training.adjustment import is_adjusted
from detector.training.evaluation_result import EvaluatedHead, TrainingProtocol, cross_validate, hold_out
from detector.training.extraction import FeatureExtractor
from detector.training.feature_set import Comparison, FeatureSet, extract
from detector.training.implausible_images import ImplausibleImage, find_implausible, without_implausible
from detector.training.leave_one_out import LeftOutSite, evaluate_left_out, sites_of_both_classes
from detector.training.options import DataOptions, EvaluationOptions, ModelOptions
from detector.training.recipes import ProbeRecipe, Recipe


@dataclass(frozen=True)
class DataSplit:
    """Which images are trained on and which evaluated: all of both in a cross-validation.

    Attributes
    ----------
    kind : {"patient", "image"}
        What is kept on one side.
    train, held_out : ndarray of int
    plan : FoldPlan or None
        The folds of a cross-validation.
    """

    kind: str
    train: np.ndarray
    held_out: np.ndarray
    plan: FoldPlan | None = None

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Training images and held-out images."""
        return self.train, self.held_out


def load_images(data: DataOptions) -> tuple[Dataset, str]:
    """List the images, and reject classes and clinical columns that cannot be trained on.

    Returns
    -------
    dataset : Dataset
    positive_class : str
        As the folder spells it.

    Raises
    ------
    InputError
    """
    images = dataset.load(data.dataset)
    positive_class = class_named(images.classes, data.positive_class, data.dataset)
    table = [image.row for image in images.images]
    clinical.fit(data.clinical_columns, table)
    if not data.allow_informative_missingness:
        clinical.require_no_missing_shortcut(data.clinical_columns, table, images.labels)
    return images, positive_class


def reads_lungs_only(data: DataOptions, model: ModelOptions) -> bool:
    """Return whether a recipe reads nothing but the lungs of an image, so that one without lungs cannot be used."""
    return "lungs" in (data.input, *(pooling for _, pooling in model.names))


def leave_out_implausible(
    data: DataOptions, model: ModelOptions, extractor: FeatureExtractor
) -> tuple[FeatureExtractor, list[ImplausibleImage] | None]:
    """Leave out images without lungs where these are all that a recipe of the run reads.

    Returns
    -------
    extractor : FeatureExtractor
    implausible : list of ImplausibleImage or None
        Those left out, and those kept. None in other runs: `implausible_images` finds them once the features are there.

    Raises
    ------
    InputError
        If a class has no images with lungs.
    """
    return without_implausible(extractor) if reads_lungs_only(data, model) else (extractor, None)


def mask_out(data: DataOptions, extractor: FeatureExtractor) -> FeatureExtractor:
    """Return the extractor; with ``--input lungs``, of images in which all else is masked out."""
    if data.input != "lungs":
        return extractor
    extractor.log.info("lungs only: all else is masked out")
    return replace(extractor, occlusion=Occlusion(LUNGS_ONLY))


def choose_split(evaluation: EvaluationOptions, extractor: FeatureExtractor) -> DataSplit:
    """Split the images, keeping patients whole where any is known and nothing else is asked for.

    Where none is known they are split by image, as in the tutorial; the check of duplicates warns of copies on both
    sides, which ``--split patient`` keeps together.

    Raises
    ------
    InputError
        If a class has too few patients or images.
    """
    images, labels, log = extractor.dataset, extractor.dataset.labels, extractor.log
    known = sum(image.patient is not None for image in images.images)
    kind = evaluation.split or ("patient" if known else "image")
    if kind == "patient":
        log.info(split.describe_patients(known, len(labels), len(set(extractor.patients))))
        if extractor.joined_patients:
            files = [
                with_change(" = ".join(images.images[row].file for row in pair), extractor.near_duplicates[pair])
                for pair in extractor.joined_patients
            ]
            log.info(f"near duplicates, whose patients count as one: {first_names(files, 20)}")
    else:
        log.info("images are split at random: a patient may be on both sides")
    seed = evaluation.seed
    if evaluation.folds:
        groups = extractor.groups(kind)
        plan = split.draw_folds(labels, groups, images.classes, evaluation.folds, evaluation.repeats, seed)
        everything = np.arange(len(labels))
        return DataSplit(kind, everything, everything, plan)
    if kind == "patient":
        train, held_out = split.by_patient(labels, extractor.patients, images.classes, evaluation.test_size, seed)
    else:
        train, held_out = split.by_image(labels, images.classes, evaluation.test_size, seed)
    log.info(f"{len(train)} training images, {len(held_out)} test images, split by {kind} with seed {seed}")
    return DataSplit(kind, train, held_out)


def decide_adjustment(recipe: Recipe, adjust: str, extractor: FeatureExtractor, chosen: DataSplit) -> Recipe:
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
    adjusted = is_adjusted(adjust, images.labels, strata, images.classes, sides, extractor.log)
    return replace(recipe, adjusted=adjusted)


def compute_features(
    data: DataOptions, recipe: Recipe, extractor: FeatureExtractor, chosen: DataSplit, seed: int
) -> FeatureSet:
    """Compute the features of all images, where they are not cached."""
    extractor.log.info("extracting VGG16 features...")
    images = extractor.dataset
    rows, groups = np.arange(len(images.images)), extractor.groups(chosen.kind)
    compared = Comparison(rows, images.labels, images.classes, groups, data.clinical_columns)
    with extractor.log.timed("forward"):
        return extract(extractor, recipe, compared, seed, chosen.sides)


def implausible_images(
    known: list[ImplausibleImage] | None, extractor: FeatureExtractor, recipe: Recipe, chosen: DataSplit, seed: int
) -> list[ImplausibleImage]:
    """Return the images that may be no frontal chest radiographs, once the features are there.

    Parameters
    ----------
    known : list of ImplausibleImage or None
        Those that `leave_out_implausible` found. With None they are found here, from the passes that gave the features.
    extractor : FeatureExtractor
    recipe : TutorialRecipe or ProbeRecipe
    chosen : DataSplit
    seed : int

    Returns
    -------
    list of ImplausibleImage
    """
    if known is not None:
        return known
    with extractor.log.timed("find lungs"):
        return find_implausible(extractor, chosen.held_out.tolist(), recipe.rotations, seed)


def fit_and_evaluate(
    samples: FeatureSet,
    protocol: TrainingProtocol,
    extractor: FeatureExtractor,
    chosen: DataSplit,
    after_epoch: AfterEpoch,
) -> EvaluatedHead:
    """Cross-validate, or fit to one side and evaluate on the other.

    Raises
    ------
    InputError
        If a class has too few patients for what was asked.
    """
    log = extractor.log
    if chosen.plan:
        evaluated = cross_validate(samples, protocol, chosen.plan, log, after_epoch)
        log.info("evaluating on out-of-fold predictions...")
        return evaluated
    evaluated = hold_out(samples, protocol, chosen.sides, log, after_epoch, lambda: extractor.features(chosen.train))
    log.info("evaluating on test images...")
    return evaluated


def leave_sites_out(
    data: DataOptions, protocol: TrainingProtocol, extractor: FeatureExtractor, adjust: str
) -> list[LeftOutSite]:
    """Hold out each site with both classes in turn.

    Raises
    ------
    InputError
        If no site has both classes, or one class is left without it.
    """
    images = extractor.dataset
    sites = sites_of_both_classes(images, protocol.positive)
    extractor.log.info(f"leaving out {', '.join(sites)} in turn...")
    with extractor.log.timed("leave sites out"):
        rows = np.arange(len(images.images))
        compared = Comparison(rows, images.labels, images.classes, clinical_columns=data.clinical_columns)
        samples = extract(extractor, protocol.recipe, compared, protocol.seed)
        all_sites = np.array([image.site for image in images.images])
        return [evaluate_left_out(samples, all_sites, site, protocol, adjust) for site in sites]
