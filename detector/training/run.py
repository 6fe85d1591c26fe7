"""The steps of a training run: images, split, features, a fitted and evaluated head, its model and its Grad-CAM."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError, counted, first_names
from detector.cli.output import Log, progress
from detector.datasets import clinical, dataset
from detector.datasets.dataset import Dataset
from detector.datasets.folders import class_named
from detector.files.cache import key
from detector.images.duplicates import with_change
from detector.images.masks import LUNGS_ONLY, Occlusion
from detector.network import model_file as model
from detector.network.features import BATCH
from detector.network.gradcam import CELLS, heat_maps
from detector.network.head import AfterEpoch, Arrays
from detector.network.model_file import Description, SavedModel, TrainingImages
from detector.statistics import split
from detector.statistics.split import FoldPlan
from detector.statistics.strata import comparable, holding_two_classes
from detector.training.crossvalidation import (
    EvaluatedHead,
    LeftOutSite,
    TrainingProtocol,
    cross_validate,
    evaluate_left_out,
    hold_out,
    sites_of_both_classes,
)
from detector.training.dataset import (
    Comparison,
    FeatureExtractor,
    FeatureSet,
    ImplausibleImage,
    extract,
    find_implausible,
    without_implausible,
)
from detector.training.options import DataOptions, EvaluationOptions, ModelOptions
from detector.training.recipes import ProbeRecipe, Recipe

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class GradCamRequest:
    """Images and the classes whose Grad-CAM is asked for.

    Attributes
    ----------
    rows : ndarray of shape (n,), int
        Among the run's images.
    classes : ndarray of shape (n,), int
        Indices among the head's outputs.
    extra : ndarray of shape (n, k)
        Encoded clinical values; k is 0 where the head takes none.
    """

    rows: np.ndarray
    classes: np.ndarray
    extra: np.ndarray


def cached_heat_maps(
    extractor: FeatureExtractor, head: Arrays, explained: GradCamRequest, model: Callable[[], keras.Model], quiet: bool
) -> list[np.ndarray]:
    """Return the Grad-CAM of images for classes.

    Features are means of the network's maps, which are not kept: an image whose Grad-CAM is not in the cache passes
    through the network again.

    Parameters
    ----------
    extractor : FeatureExtractor
    head : list of ndarray
        The head's weights: what is cached belongs to them.
    explained : GradCamRequest
    model : callable
        Returns the Keras model with this head; called only if something has to be computed.
    quiet : bool
        Show no progress.

    Returns
    -------
    list of ndarray of shape (14, 14), in [0, 1]
    """
    names = _names(extractor, head, explained)
    cache = extractor.backbone.cache
    held = {
        name: np.frombuffer(data, "<f4").reshape(CELLS, CELLS)
        for name, data in cache.get(names).items()
        if len(data) == 4 * CELLS**2
    }
    missing = np.array([i for i, name in enumerate(names) if name not in held], int)
    if len(missing):
        maps = heat_maps(model())
        batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
        for batch in progress(batches, len(batches), "Grad-CAM", quiet, "batch"):
            pixels = np.stack([extractor.pixels(row, extractor.occlusion) for row in explained.rows[batch]])
            inputs = pixels.astype(np.float32) / 255
            extra = explained.extra[batch]
            found = maps([inputs, extra] if extra.shape[1] else inputs, explained.classes[batch], None)
            done = {names[i]: one.astype("<f4") for i, one in zip(batch, found, strict=True)}
            cache.put({name: one.tobytes() for name, one in done.items()})
            held |= done
    return [held[name] for name in names]


def _names(extractor: FeatureExtractor, head: Arrays, explained: GradCamRequest) -> Sequence[bytes]:
    """Return the names under which Grad-CAMs are cached: everything that they depend on."""
    digest = hashlib.sha256(b"".join(array.tobytes() for array in head)).hexdigest()
    part = extractor.occlusion.part if extractor.occlusion else ""
    return [
        key(
            kind="grad-cam",
            image=extractor.properties[row].digest,
            head=digest,
            columns=(extractor.columns.start, extractor.columns.stop),
            predicted=int(label),
            part=part,
            clinical=beside.tolist(),
        )
        for row, label, beside in zip(explained.rows, explained.classes, explained.extra, strict=True)
    ]


def describe(evaluated: EvaluatedHead, recipe: Recipe, extractor: FeatureExtractor) -> Description:
    """Return what the model's file says of it."""
    result = evaluated.evaluation
    columns, threshold = evaluated.fitted.columns, evaluated.threshold
    restricted = "lungs" if extractor.occlusion else "image"
    seen = (extractor.properties[row] for row in evaluated.train)
    images = TrainingImages.of((one.digest, one.hash) for one in seen)
    read = (recipe.name, recipe.pooling)
    return Description(
        result.classes, result.positive, *read, threshold, columns, input=restricted, training_images=images
    )


def saved_model(evaluated: EvaluatedHead, description: Description, extractor: FeatureExtractor) -> SavedModel:
    """Return base and trained head: what is saved, and what Grad-CAM is computed with."""
    return SavedModel(extractor.backbone.weights, evaluated.fitted.trained.weights, description, None)


def most_confident_errors_first(evaluated: EvaluatedHead) -> np.ndarray:
    """Return the order of test images: errors first, the most confident on top, then the others in reverse."""
    labels, predicted = evaluated.predictions.labels, evaluated.predicted[0]
    confidence = evaluated.probabilities[0][np.arange(len(predicted)), predicted]
    wrong = predicted != labels
    return np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))


def grad_cam(
    evaluated: EvaluatedHead,
    description: Description,
    extractor: FeatureExtractor,
    joined: Callable[[], keras.Model],
    positions: np.ndarray,
) -> list[np.ndarray]:
    """Return the Grad-CAM of test images for their predicted classes.

    Parameters
    ----------
    evaluated : EvaluatedHead
    description : Description
    extractor : FeatureExtractor
    joined : callable
        Returns what `saved_model` returns, as a Keras model; called only if a Grad-CAM has to be computed.
    positions : ndarray of int
        Among the test images.

    Returns
    -------
    list of ndarray of shape (14, 14), in [0, 1]
    """
    rows, predicted = evaluated.held_out[positions], evaluated.predicted[0][positions]
    extra = clinical.encode(evaluated.fitted.columns, [extractor.dataset.images[row].row for row in rows])
    head = evaluated.fitted.trained.weights

    def explaining() -> keras.Model:
        if description.input == "lungs":
            return model.join_masked(extractor.backbone.weights, head, description)
        return joined()

    return cached_heat_maps(extractor, head, GradCamRequest(rows, predicted, extra), explaining, extractor.log.quiet)


def is_adjusted(
    choice: str, labels: np.ndarray, strata: np.ndarray, classes: Sequence[str], sides: Sequence[np.ndarray], log: Log
) -> bool:
    """Decide whether a probe is fitted within strata, and say so in a line.

    Parameters
    ----------
    choice : {"auto", "strata", "none"}
    labels : ndarray of shape (n,), int
    strata : ndarray of shape (n,), str
    classes : sequence of str
    sides : sequence of ndarray of int
        The training sides that a probe will be fitted to.
    log : Log

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If strata are asked for, and a class shares none with another.
    """
    if choice == "none":
        return False
    if not all(comparable(labels[rows], strata[rows], len(classes)) for rows in sides):
        if choice == "strata":
            raise InputError(
                "--adjust strata: not every class shares a site and view with another among the training images, so "
                "the disease cannot be compared within a site; add controls from the same site, or use --adjust none"
            )
        log.info(
            "not adjusted for site and view: none contains enough images of both classes, so the model may learn the "
            "site instead of the disease, and no metric here can show which"
        )
        return False
    kept = holding_two_classes(labels, strata)
    number = len(set(strata[kept]))
    what = "1 stratum contains" if number == 1 else f"{number} strata contain"
    others = f"; the other {counted(int((~kept).sum()), 'image')} hardly affect the fit" if not kept.all() else ""
    log.info(f"fitted within site and view: {what} two classes, {counted(int(kept.sum()), 'image')}{others}")
    return True


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
