"""An opened data set: images read and checked, their patients, copies and lungs, and the features of any of them."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np

from detector import InputError, counted, first_names
from detector.cli.output import Log, named_notes, progress
from detector.cluster import features
from detector.cluster.connection import ComputeOptions, connect
from detector.datasets import clinical
from detector.datasets.dataset import Dataset, Image, Rows
from detector.datasets.identity import merged, patients, require_one_class, require_own_rows
from detector.files.atomic import sha256
from detector.files.cache import Cache, default_folder, key
from detector.images.duplicates import SEARCH_VERSION, Copy, among, find_copies, with_change
from detector.images.inspect import ImageProperties, PixelStore, inspect
from detector.images.lungs import describe, implausibility, packed
from detector.images.masks import NetworkInput, Occlusion, angles, read_mask, rotate_mask
from detector.images.phantom import SOURCE as PHANTOM
from detector.network import runtime
from detector.network import weights as weight_sources
from detector.network.backbone import COLUMNS, DECODER_DIGEST, HEAT_CELLS, Weights
from detector.network.features import BATCH, Backbone, recalled
from detector.network.head import AfterEpoch, TrainedHead, TrainingSet, joined
from detector.training.recipes import Recipe


@dataclass(frozen=True)
class FeatureExtractor:
    """A data set that was read and checked, with what is needed to compute features of it.

    Attributes
    ----------
    patients : ndarray of shape (n,), str
        Equal where the patient is the same.
    near_duplicates : dict of (int, int) to Copy
        Pairs of images of one radiograph, the smaller index first.
    columns : slice
        Which of the backbone's features are wanted.
    """

    dataset: Dataset
    properties: list[ImageProperties]
    patients: np.ndarray
    near_duplicates: Mapping[tuple[int, int], Copy]
    backbone: Backbone
    columns: slice
    pixel_store: PixelStore
    log: Log

    def features(self, rows: Rows | None = None, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return features of images as they are, (n, width), float32: those that the saved model computes.

        Parameters
        ----------
        rows : sequence of int, optional
            Which images; all by default.
        occlusion : Occlusion, optional
            Hides a part of each first.
        """
        rows = range(len(self.properties)) if rows is None else rows
        return self.augmented(rows, 0, 0, occlusion)[:, 0]

    def augmented(self, rows: Rows, count: int, seed: int, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return features of rotated training copies, (n, count, width), float32; of the images themselves for none."""
        turned = [angles(self.properties[row].digest, count, seed) if count else [0.0] for row in rows]
        inputs = list(self._inputs(rows, turned, occlusion))
        features = self.backbone.features(inputs, self._read, self.columns, self._bar(copies=count > 0))
        return features.reshape(len(rows), max(count, 1), features.shape[1])

    def subset(self, rows: np.ndarray) -> FeatureExtractor:
        """Return the same run with some of its images only, in the same order."""
        return replace(
            self,
            dataset=replace(self.dataset, images=[self.dataset.images[row] for row in rows]),
            properties=[self.properties[row] for row in rows],
            patients=self.patients[rows],
            near_duplicates=among(self.near_duplicates, rows),
        )

    def groups(self, split: str) -> np.ndarray:
        """Return what a split of this kind keeps whole: each patient, or each image."""
        return self.patients if split == "patient" else np.arange(len(self.properties)).astype(str)

    def lungs(self, rows: Rows, seed: int | None = None) -> Iterator[np.ndarray]:
        """Yield where the lungs of images are, as the lung decoder finds them, (224, 224), bool.

        With the seed of the rotations they are found on the first rotated copy of each, which passes anyway.
        """
        turned = [[0.0] if seed is None else angles(self.properties[row].digest, 1, seed) for row in rows]
        inputs = list(self._inputs(rows, turned))
        masks = self.backbone.lungs(inputs, self._read, self._bar(copies=seed is not None))
        for one, mask in zip(inputs, masks, strict=True):
            yield rotate_mask(mask, -one.angle)

    def masks(self, rows: Rows, occlusion: Occlusion) -> Iterator[np.ndarray]:
        """Yield the lungs of images as an occlusion has them, from files or found, (224, 224), bool."""
        if occlusion.files is None:
            return self.lungs(rows)
        return (read_mask(occlusion.files[self.dataset.images[row].path]) for row in rows)

    def pixels(self, row: int, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return an image as the base sees it, (224, 224, 3), uint8, a part of it hidden or not."""
        (one,) = self._inputs([row], [[0.0]], occlusion)
        return one.shown(self._read(one))

    def heat_maps(self, head: TrainedHead, rows: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
        """Return the Grad-CAM of images for classes, (14, 14) each, in [0, 1]; a second run needs the same again."""
        extra = clinical.encode(head.columns, [self.dataset.images[row].row for row in rows])
        common = {
            "kind": "grad-cam",
            "head": hashlib.sha256(b"".join(array.tobytes() for array in head.weights)).hexdigest(),
            "columns": (self.columns.start, self.columns.stop),
        }
        names = [
            key(image=self.properties[row].digest, predicted=int(label), clinical=beside.tolist(), **common)
            for row, label, beside in zip(rows, classes, extra, strict=True)
        ]

        def compute(missing: list[int]) -> Iterator[dict[bytes, bytes]]:
            runtime.ready()
            from detector.network.forward import heat_maps

            maps = heat_maps(self.backbone.weights, head.weights, self.columns)
            batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
            for batch in progress(batches, len(batches), "Grad-CAM", self.log.quiet, "batch"):
                found = maps(np.stack([self.pixels(row) for row in rows[batch]]), classes[batch], extra[batch])
                yield {names[i]: one.astype("<f4").tobytes() for i, one in zip(batch, found, strict=True)}

        found = recalled(self.backbone.cache, names, compute)
        return [np.frombuffer(one, "<f4").reshape(HEAT_CELLS, HEAT_CELLS) for one in found]

    def _read(self, one: NetworkInput) -> np.ndarray:
        return self.pixel_store.pixels(one.path, one.digest)

    def _inputs(
        self, rows: Rows, turned: Iterable[Sequence[float]], occlusion: Occlusion | None = None
    ) -> Iterator[NetworkInput]:
        """Yield what the network sees of images: each at some angles, a part hidden or not."""
        masks = repeat(None) if occlusion is None else self.masks(rows, occlusion)
        for row, degrees, mask in zip(rows, turned, masks, strict=False):
            path = self.dataset.images[row].path
            hidden: tuple = ()
            if occlusion is not None and mask is not None:
                files = occlusion.files
                mask_from = f"found by {DECODER_DIGEST}" if files is None else sha256(files[path])
                hidden = f"{occlusion.part}, {mask_from}", occlusion.part, packed(mask)
            for angle in degrees:
                yield NetworkInput(path, self.properties[row].digest, angle, *hidden)

    def _bar(self, copies: bool) -> str:
        return "" if self.log.quiet else f"VGG16, {'augmented copies' if copies else 'images'}"


def find_near_duplicates(
    dataset: Dataset,
    properties: Sequence[ImageProperties],
    cache: Cache,
    pixels: Callable[[int], np.ndarray],
    quiet: bool = True,
) -> dict[tuple[int, int], Copy]:
    """Return which images are copies of which, each paired with the first of its group, sorted.

    Phantoms resemble each other more than people do, and the bounds were measured on people: they have none.
    """
    if all(image.source == PHANTOM for image in dataset.images):
        return {}
    hashes, digests = [one.hash for one in properties], [one.digest for one in properties]
    name = key(kind="near duplicates", version=SEARCH_VERSION, hashes=hashes, digests=digests)
    held = cache.get([name])
    if name in held:
        return {(i, j): Copy(*copy) for i, j, *copy in json.loads(held[name])}
    pairs = find_copies(hashes, digests, pixels, quiet)
    cache.put({name: json.dumps([[i, j, *copy] for (i, j), copy in pairs.items()]).encode()})
    return pairs


@dataclass(frozen=True)
class ImplausibleImage:
    """An image that may be no frontal chest radiograph.

    One rule: what `predict_covid19.py` predicts no class for (a colour image, an image without lungs) is left out of a
    run that reads the lungs only. Every other run, the tutorial's recipe among them, keeps it and names it. Lateral
    views and images with one lung are always kept and named.

    Attributes
    ----------
    file : str
        Its name relative to the data set.
    reason : str
        What such images are, such as ``"without lungs"``.
    left_out : bool
        Whether the run goes on without it.
    """

    file: str
    reason: str
    left_out: bool


def find_implausible(
    extractor: FeatureExtractor, rows: Rows, masks: Iterable[np.ndarray | None], leave_out: bool
) -> tuple[list[ImplausibleImage], np.ndarray]:
    """Return which of some images may be no frontal chest radiographs, given their lungs, and which a run keeps."""
    named, kept = [], np.ones(len(rows), bool)
    for position, (row, mask) in enumerate(zip(rows, masks, strict=True)):
        known, image = extractor.properties[row], extractor.dataset.images[row]
        lungs = None if mask is None else describe(mask)
        found = implausibility(known.colourfulness, lungs, image.view, known.doubt)
        if found:
            kept[position] = not (leave_out and found.rejected)
            named.append(ImplausibleImage(image.file, found.group, not kept[position]))
    return named, kept


def without_implausible(extractor: FeatureExtractor) -> tuple[FeatureExtractor, list[ImplausibleImage]]:
    """Leave out what a recipe that reads the lungs only cannot use; lungs are found in the pass that gives features."""
    extractor.log.info("finding lungs...")
    rows = range(len(extractor.properties))
    with extractor.log.timed("find lungs"):
        named, kept = find_implausible(extractor, rows, extractor.lungs(rows), leave_out=True)
    if named:
        extractor.log.info(implausible_line(named, len(rows)))
    require_every_class(extractor.dataset.images, kept)
    return (extractor if kept.all() else extractor.subset(np.flatnonzero(kept))), named


def implausible_among(
    extractor: FeatureExtractor, held_out: np.ndarray, rotations: int, seed: int
) -> list[ImplausibleImage]:
    """Name what may be no frontal chest radiograph, by lungs that were found in the passes that gave the features."""
    everything = np.arange(len(extractor.properties))
    copied = np.isin(everything, held_out, invert=True) & (rotations > 0)
    whole, turned = extractor.lungs(everything[~copied]), extractor.lungs(everything[copied], seed)
    masks = (next(turned if copy else whole) for copy in copied)
    with extractor.log.timed("find lungs"):
        return find_implausible(extractor, everything, masks, leave_out=False)[0]


def require_every_class(images: Sequence[Image], kept: np.ndarray) -> None:
    """Require that an image of every class is kept."""
    left = {image.label for image, one in zip(images, kept, strict=True) if one}
    if lost := next((image.label for image in images if image.label not in left), None):
        names = [image.file for image in images if image.label == lost]
        raise InputError(
            f"lungs were found in none of {counted(len(names), 'image')} of class {lost} ({first_names(names)}); "
            "give frontal chest radiographs, or use --pooling global, which keeps such images"
        )


def implausible_line(implausible: Sequence[ImplausibleImage], total: int) -> str:
    """Return how many images may be no frontal chest radiographs, why, and what becomes of them, in a line."""
    files: dict[str, dict[str, list[str]]] = {"left out": {}, "kept": {}}
    for one in implausible:
        files["left out" if one.left_out else "kept"].setdefault(one.reason, []).append(one.file)
    parts = [
        f"{what}: {', '.join(f'{len(names)} {why} ({first_names(names)})' for why, names in reasons.items())}"
        for what, reasons in files.items()
        if reasons
    ]
    return f"{len(implausible)} of {counted(total, 'image')} may not be frontal chest radiographs; {'; '.join(parts)}"


HERE = ComputeOptions()


def open_dataset(
    dataset: Dataset, log: Log, recipe: Recipe | None, compute: ComputeOptions = HERE, weights: Weights | None = None
) -> FeatureExtractor:
    """Open a data set: read every image while TensorFlow is imported, and find the weights.

    A probe on images that are all known to the cache mostly needs no TensorFlow: what does need it then imports it.

    Parameters
    ----------
    recipe : TutorialRecipe, ProbeRecipe or None
        Decides which features are read; with None no network is used.
    weights : dict of str to (kernel, bias), optional
        The network's; found by default.
    """
    cluster = connect(compute) if compute.ray else None
    log.info(f"loading images: {', '.join(f'{count} {name}' for name, count in dataset.counts().items())}...")
    runtime.configure(compute.verbose)
    if cluster or (recipe and recipe.name != "probe"):
        runtime.start()
    home = compute.cache or default_folder()
    cache = Cache(None if compute.no_cache else home)
    pixel_store = PixelStore()
    with log.timed("read"):
        if recipe and weights is None:
            weights = weight_sources.load(compute.weights, home, log.info)
        inspected = functools.partial(features.properties, cluster) if cluster else None
        paths = [image.path for image in dataset.images]
        meanwhile = runtime.start if recipe else bool
        properties = inspect(paths, cache, pixel_store, log.quiet, inspected, meanwhile)
    with log.timed("import TensorFlow (what reading did not hide)"):
        runtime.finish()
    digests = [one.digest for one in properties]
    require_one_class(dataset.images, digests)
    require_own_rows(dataset.images, digests)
    unusual = [(image.file, one.note) for image, one in zip(dataset.images, properties, strict=True)]
    for note in [*dataset.notes, *named_notes(unusual)]:
        log.info(note)
    if cache.trouble:
        log.info(f"features are not kept: {home} cannot be used ({cache.trouble})")
    copies = find_near_duplicates(
        dataset, properties, cache, lambda row: pixel_store.pixels(paths[row], digests[row]), log.quiet
    )
    known = patients(dataset.images, digests)
    same = [(i, j) for i, j in copies if known[i] != known[j] and digests[i] != digests[j]]
    if same:
        named = [with_change(" = ".join(dataset.images[row].file for row in pair), copies[pair]) for pair in same]
        log.info(f"near duplicates, whose patients count as one: {first_names(named, 20)}")
    backbone = Backbone(weights or {}, cache, functools.partial(features.compute, cluster) if cluster else None)
    columns = COLUMNS[recipe.name, recipe.pooling] if recipe else slice(0)
    return FeatureExtractor(dataset, properties, merged(known, same), copies, backbone, columns, pixel_store, log)


@dataclass(frozen=True)
class FeatureSet:
    """What heads are fitted to and evaluated on.

    Attributes
    ----------
    augmented : ndarray of shape (n, copies, width), float32
        Features of training copies; nan for images that are never used.
    features : ndarray of shape (n, width), float32
        Of the images as they are; nan for images that are never used.
    labels : ndarray of shape (n,), int
    groups : ndarray of shape (n,)
        What splits keep whole: patients, or images.
    patients : ndarray of shape (n,)
        The unit of every interval, whatever splits keep whole.
    strata : ndarray of shape (n,), str
        Site and view; empty where the site is not known.
    table : list of dict
        The manifest's rows.
    clinical : list of str
        Its columns that join the features.
    """

    augmented: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    patients: np.ndarray
    strata: np.ndarray
    classes: list[str]
    table: Sequence[Mapping[str, str]]
    clinical: Sequence[str] = ()

    def fit(
        self,
        rows: np.ndarray,
        recipe: Recipe,
        seed: int,
        held_out: np.ndarray | None = None,
        after_epoch: AfterEpoch | None = None,
    ) -> TrainedHead:
        """Fit a head to some of the images; no other image affects it.

        Parameters
        ----------
        held_out : ndarray of int, optional
            Images that are evaluated after each epoch.
        """
        columns = clinical.fit(self.clinical, self._rows(rows))
        validation = None
        if held_out is not None:
            validation = joined(self.features[held_out], columns, self._rows(held_out)), self.labels[held_out]
        features = joined(self.augmented[rows], columns, self._rows(rows))
        data = TrainingSet(features, self.labels[rows], self.classes, self.groups[rows], self.strata[rows])
        fitted = recipe.fit(data, seed, validation, after_epoch or (lambda epoch, metrics: None))
        return replace(fitted, columns=columns)

    def predict_proba(self, fitted: TrainedHead, rows: np.ndarray) -> np.ndarray:
        """Return a trained head's predicted probabilities of some of the images, shape (n, classes)."""
        return fitted.predict_proba(self.features[rows], self._rows(rows))

    def _rows(self, rows: Rows) -> list[Mapping[str, str]]:
        return [self.table[row] for row in rows]


def extract(
    extractor: FeatureExtractor,
    recipe: Recipe,
    seed: int,
    rows: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    sides: tuple[np.ndarray, np.ndarray] | None = None,
    occlusion: Occlusion | None = None,
) -> FeatureSet:
    """Compute the features that a recipe needs of some images; splits of them keep patients whole.

    Parameters
    ----------
    seed : int
        Of the rotations.
    rows : ndarray of shape (n,), int
        Among the run's images.
    labels : ndarray of shape (n,), int
    sides : (ndarray of int, ndarray of int), optional
        Which of these images are ever trained on, and which evaluated; by default all.
    occlusion : Occlusion, optional
        Masks out a part of each first.
    """
    everything = np.arange(len(rows))
    train, held_out = sides or (everything, everything)
    if recipe.rotations:
        copies = extractor.augmented(rows[train], recipe.rotations, seed, occlusion)
        augmented = _placed(copies, train, len(rows))
        features = _placed(extractor.features(rows[held_out], occlusion), held_out, len(rows))
    else:
        # Trained on and evaluated as they are: one array, from one pass.
        features = extractor.features(rows, occlusion)
        augmented = features[:, None]
    images = [extractor.dataset.images[row] for row in rows]
    patients, strata = extractor.patients[rows], np.array([image.stratum for image in images])
    table = [image.row for image in images]
    return FeatureSet(augmented, features, labels, patients, patients, strata, list(classes), table)


def _placed(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return values at their places among so many; nan elsewhere."""
    if len(rows) == count:
        return values
    found = np.full((count, *values.shape[1:]), np.nan, np.float32)
    found[rows] = values
    return found
