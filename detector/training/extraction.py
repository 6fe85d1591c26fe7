"""A data set opened for a run: everything read and checked, patients told apart, features at hand."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector.cluster import features
from detector.cluster.connection import connect
from detector.cluster.flags import ComputeOptions
from detector.command_line.printing import Log, progress
from detector.datasets.dataset import Dataset, Rows
from detector.datasets.identity import patients, require_one_class
from detector.images.duplicates import near_pairs
from detector.images.inspection import ImageProperties, inspect, named_notes
from detector.images.lungs import packed
from detector.images.network_input import NetworkInput
from detector.images.occlusion import Occlusion, read_mask
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.pixel_store import PixelStore
from detector.images.rotation import angles
from detector.network import lung_decoder, runtime, weight_sources
from detector.network.backbone import COLUMNS, Backbone
from detector.storage.cache import Cache, default_folder
from detector.storage.files import sha256
from detector.training.recipes import Recipe, precision_for


@dataclass(frozen=True)
class FeatureExtractor:
    """A data set that was read and checked, with what is needed to compute features of it.

    Attributes
    ----------
    dataset : Dataset
    properties : list of ImageProperties
    patients : ndarray of shape (n,), str
        Equal where the patient is the same.
    alike : list of (int, int)
        Images that are nearly the same, whoever they are of, the smaller index first.
    duplicates : list of (int, int)
        Those of different patients that are not byte for byte the same: these patients count as one.
    backbone : Backbone
    columns : slice
        Which of the backbone's features are wanted.
    precision : str
        Of training copies.
    pixel_store : PixelStore
    log : Log
    occlusion : Occlusion, optional
        Masks out a part of every image, where nothing else is asked for.
    """

    dataset: Dataset
    properties: list[ImageProperties]
    patients: np.ndarray
    alike: list[tuple[int, int]]
    duplicates: list[tuple[int, int]]
    backbone: Backbone
    columns: slice
    precision: str
    pixel_store: PixelStore
    log: Log
    occlusion: Occlusion | None = None

    def features(self, rows: Rows | None = None, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return features of images as they are, in float32: those that the saved model computes.

        Parameters
        ----------
        rows : sequence of int, optional
            Which images; all by default.
        occlusion : Occlusion, optional
            Hides a part of each first.

        Returns
        -------
        ndarray of shape (n, width), float32
        """
        rows = range(len(self.properties)) if rows is None else rows
        return self._features(rows, [[0.0]] * len(rows), "float32", "images through VGG16", occlusion)

    def augmented(self, rows: Rows, count: int, seed: int, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return features of rotated training copies.

        Parameters
        ----------
        rows : sequence of int
        count : int
            Copies of each image; 0 for the images as they are.
        seed : int
        occlusion : Occlusion, optional
            Hides a part of each before it is rotated.

        Returns
        -------
        ndarray of shape (n, max(count, 1), width), float32
        """
        turned = [angles(self.properties[row].digest, count, seed) if count else [0.0] for row in rows]
        features = self._features(rows, turned, self.precision, "training copies through VGG16", occlusion)
        return features.reshape(len(rows), max(count, 1), -1)

    def groups(self, split: str) -> np.ndarray:
        """Return what a split of this kind keeps whole: each patient, or each image."""
        return self.patients if split == "patient" else np.arange(len(self.properties)).astype(str)

    def lungs(self, rows: Rows) -> Iterator[np.ndarray]:
        """Yield where the lungs of images are, as the lung decoder finds them, (224, 224), bool."""
        inputs = [self._input(row) for row in rows]
        return self.backbone.lungs(inputs, self._read, lambda missing: self._shown(missing, "images through VGG16"))

    def masks(self, rows: Rows, occlusion: Occlusion) -> Iterator[np.ndarray]:
        """Yield the lungs of images as an occlusion has them, from files or found, (224, 224), bool."""
        if occlusion.files is None:
            return self.lungs(rows)
        return (read_mask(occlusion.files[self.dataset.images[row].path.stem]) for row in rows)

    def pixels(self, row: int, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return an image as the base sees it, (224, 224, 3), uint8, a part of it hidden or not."""
        (one,) = self._inputs([row], [[0.0]], occlusion)
        return one.shown(self._read(one))

    def _read(self, one: NetworkInput) -> np.ndarray:
        return self.pixel_store.pixels(one.path, one.digest)

    def _inputs(
        self, rows: Rows, angles: Sequence[Sequence[float]], occlusion: Occlusion | None
    ) -> Iterator[NetworkInput]:
        masks = [None] * len(rows) if occlusion is None else self.masks(rows, occlusion)
        for row, turned, mask in zip(rows, angles, masks, strict=True):
            for angle in turned:
                yield self._input(row, angle, occlusion, mask)

    def _input(
        self, row: int, angle: float = 0.0, occlusion: Occlusion | None = None, mask: np.ndarray | None = None
    ) -> NetworkInput:
        path, digest = self.dataset.images[row].path, self.properties[row].digest
        if occlusion is None or mask is None:
            return NetworkInput(path, digest, angle)
        origin = f"found by {lung_decoder.DIGEST}" if occlusion.files is None else sha256(occlusion.files[path.stem])
        return NetworkInput(path, digest, angle, f"{occlusion.part}, {origin}", occlusion.part, packed(mask))

    def _shown(self, missing: Sequence[NetworkInput], what: str) -> Iterator[NetworkInput]:
        return progress(missing, len(missing), what, self.log.quiet)

    def _features(
        self,
        rows: Rows,
        angles: Sequence[Sequence[float]],
        precision: str,
        what: str,
        occlusion: Occlusion | None,
    ) -> np.ndarray:
        inputs = list(self._inputs(rows, angles, occlusion or self.occlusion))
        return self.backbone.features(
            inputs, precision, self._read, lambda missing: self._shown(missing, what), self.columns
        )


HERE = ComputeOptions()


def open_dataset(dataset: Dataset, log: Log, recipe: Recipe, compute: ComputeOptions = HERE) -> FeatureExtractor:
    """Open a data set: read every image while TensorFlow is imported, find the weights, choose the precision.

    Parameters
    ----------
    dataset : Dataset
    log : Log
    recipe : TutorialRecipe or ProbeRecipe
        Decides which features are read, and in which precision (`precision_for`).
    compute : ComputeOptions, optional

    Returns
    -------
    FeatureExtractor

    Raises
    ------
    InputError
        If an image, the weights or the cluster cannot be used.
    """
    cluster = connect(compute.ray) if compute.ray else None
    if compute.weights is not None:
        weight_sources.require_readable(compute.weights)
    counts = ", ".join(f"{count} {name}" for name, count in dataset.counts().items())
    log.info(f"loading images: {counts}...")
    runtime.start(compute.verbose)
    home = compute.cache or default_folder()
    cache = Cache(None if compute.no_cache else home)
    pixel_store = PixelStore()
    with log.timed("read"):
        inspected = functools.partial(features.properties, cluster) if cluster else None
        properties = inspect([image.path for image in dataset.images], cache, pixel_store, log.quiet, inspected)
        found, _ = weight_sources.load(compute.weights, home, log.info)
    with log.timed("import TensorFlow (what reading did not hide)"):
        runtime.ready()
    with log.timed("choose precision"):
        precision = precision_for(recipe, compute.precision, cache)
    require_one_class(dataset.images, [image_properties.digest for image_properties in properties])
    for note in dataset.notes:
        log.info(note)
    for note in named_notes(
        [
            (image.file, image_properties.note)
            for image, image_properties in zip(dataset.images, properties, strict=True)
        ]
    ):
        log.info(note)
    if cache.trouble:
        log.info(f"features are not kept: {home} cannot be used ({cache.trouble})")
    alike = find_alike(dataset, properties)
    twins = of_different_patients(dataset, properties, alike)
    same = patients(dataset.images, [image_properties.digest for image_properties in properties], twins)
    backbone = Backbone(found, cache, functools.partial(features.compute, cluster) if cluster else None)
    return FeatureExtractor(
        dataset,
        properties,
        same,
        alike,
        twins,
        backbone,
        COLUMNS[recipe.name, recipe.pooling],
        precision,
        pixel_store,
        log,
    )


def find_alike(dataset: Dataset, properties: Sequence[ImageProperties]) -> list[tuple[int, int]]:
    """Return pairs of images that are nearly the same, sorted, the smaller index first.

    Phantoms are more alike than people are, and the bound was measured on people: they have none.
    """
    if all(image.source == PHANTOM for image in dataset.images):
        return []
    drawn = [image.source == PHANTOM for image in dataset.images]
    pairs = near_pairs([image_properties.hash for image_properties in properties])
    return [(i, j) for i, j in pairs if not (drawn[i] and drawn[j])]


def of_different_patients(
    dataset: Dataset, properties: Sequence[ImageProperties], alike: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return those of some pairs that are of different patients and not byte for byte the same."""
    who = patients(dataset.images, [image_properties.digest for image_properties in properties])
    return [(i, j) for i, j in alike if who[i] != who[j] and properties[i].digest != properties[j].digest]
