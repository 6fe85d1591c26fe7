"""A data set opened for a run: everything read and checked, patients told apart, features at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.command_line import Log, progress
from detector.datasets.dataset import Dataset, patients
from detector.images.duplicates import as_words, near_pairs
from detector.images.inspection import Traits, inspect, named_notes
from detector.images.occlusion import Occlusion, read_mask
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.pixel_store import PixelStore
from detector.images.rotation import angles
from detector.network import lung_decoder, runtime, weights
from detector.network.backbone import POOLINGS, Backbone, NetworkInput
from detector.network.precision import choose_precision
from detector.storage.cache import Cache, default_folder
from detector.storage.files import sha256


@dataclass
class FeatureExtractor:
    """A data set that was read and checked, with what is needed to compute features of it.

    Attributes
    ----------
    dataset : Dataset
    traits : list of Traits
    patients : ndarray of shape (n,), str
        Equal where the patient is the same.
    duplicates : list of (int, int)
        Images of different patients that are nearly the same: these patients count as one.
    backbone : Backbone
    pooling : {"corner", "global", "depths"}
        Which of the backbone's features are wanted.
    weights_origin : str
        Where the weights came from.
    precision : str
        Of training copies.
    pixel_store : PixelStore
    log : Log
    hide : Occlusion, optional
        Hides a part of every image, where nothing else is asked for.
    """

    dataset: Dataset
    traits: list[Traits]
    patients: np.ndarray
    duplicates: list[tuple[int, int]]
    backbone: Backbone
    pooling: str
    weights_origin: str
    precision: str
    pixel_store: PixelStore
    log: Log
    hide: Occlusion | None = None

    def features(self, rows: Sequence[int] | None = None, hide: Occlusion | None = None) -> np.ndarray:
        """Return features of images as they are, in float32: those that the saved model computes.

        Parameters
        ----------
        rows : sequence of int, optional
            Which images; all by default.
        hide : Occlusion, optional
            Hides a part of each first.

        Returns
        -------
        ndarray of shape (n, width), float32
        """
        rows = range(len(self.traits)) if rows is None else rows
        return self._features(rows, [[0.0]] * len(rows), "float32", "images through VGG16", hide)

    def augmented(self, rows: Sequence[int], count: int, seed: int, hide: Occlusion | None = None) -> np.ndarray:
        """Return features of rotated training copies.

        Parameters
        ----------
        rows : sequence of int
        count : int
            Copies of each image; 0 for the images as they are.
        seed : int
        hide : Occlusion, optional
            Hides a part of each before it is rotated.

        Returns
        -------
        ndarray of shape (n, max(count, 1), width), float32
        """
        turned = [angles(self.traits[row].digest, count, seed) if count else [0.0] for row in rows]
        features = self._features(rows, turned, self.precision, "training copies through VGG16", hide)
        return features.reshape(len(rows), max(count, 1), -1)

    def groups(self, split: str) -> np.ndarray:
        """Return what a split of this kind keeps whole: each patient, or each image."""
        return self.patients if split == "patient" else np.arange(len(self.traits)).astype(str)

    def lungs(self, rows: Sequence[int]) -> np.ndarray:
        """Return where the lungs of images are, as the lung decoder finds them, shape (n, 224, 224), bool."""
        inputs = [self._input(row, 0.0, None) for row in rows]
        return self.backbone.lungs(inputs, self._whole, lambda missing: self._shown(missing, "images through VGG16"))

    def masks(self, rows: Sequence[int], hide: Occlusion) -> np.ndarray:
        """Return the lungs of images as an occlusion has them, from files or found, shape (n, 224, 224), bool."""
        if hide.files is None:
            return self.lungs(rows)
        return np.stack([read_mask(hide.files[self.dataset.images[row].path.stem]) for row in rows])

    def pixels(self, one: NetworkInput, hide: Occlusion | None = None) -> np.ndarray:
        """Return the pixels of a network's input before its rotation, (224, 224, 3), uint8."""
        pixels = self._whole(one)
        if hide is None:
            return pixels
        if hide.files is not None:
            return hide.apply(pixels, read_mask(hide.files[one.path.stem]))
        return hide.apply(pixels, self.backbone.lungs([NetworkInput(one.path, one.digest)], self._whole)[0])

    def _whole(self, one: NetworkInput) -> np.ndarray:
        return self.pixel_store.pixels(one.path, one.digest)

    def _input(self, row: int, angle: float, hide: Occlusion | None) -> NetworkInput:
        path, hidden = self.dataset.images[row].path, ""
        if hide is not None:
            mask = f"found by {lung_decoder.DIGEST}" if hide.files is None else sha256(hide.files[path.stem])
            hidden = f"{hide.part}, {mask}"
        return NetworkInput(path, self.traits[row].digest, angle, hidden)

    def _shown(self, missing: Sequence[NetworkInput], what: str) -> Iterator[NetworkInput]:
        return progress(missing, len(missing), what, self.log.quiet)

    def _features(
        self, rows: Sequence[int], angles: Sequence[Sequence[float]], precision: str, what: str, hide: Occlusion | None
    ) -> np.ndarray:
        hide = hide or self.hide
        if hide is not None and hide.files is None:
            self.lungs(rows)  # all in batches, before each is asked for by itself
        inputs = [self._input(row, angle, hide) for row, turned in zip(rows, angles, strict=True) for angle in turned]
        features = self.backbone.features(
            inputs, precision, lambda one: self.pixels(one, hide), lambda missing: self._shown(missing, what)
        )
        return features[:, POOLINGS[self.pooling]]


def open_dataset(
    dataset: Dataset,
    log: Log,
    *,
    pooling: str,
    weights_file: Path | None = None,
    precision: str = "auto",
    cache_folder: Path | None = None,
    no_cache: bool = False,
    verbose: bool = False,
) -> FeatureExtractor:
    """Open a data set: read every image while TensorFlow is imported, find the weights, choose the precision.

    Parameters
    ----------
    dataset : Dataset
    log : Log
    pooling : {"corner", "global", "depths"}
    weights_file : Path, optional
    precision : {"auto", "float32", "bfloat16"}
        Of training copies. Where a recipe makes none ("depths"), ``"auto"`` is float32: an image is then trained on and
        evaluated with the same features, from one pass, and they are the same on every machine.
    cache_folder : Path, optional
    no_cache : bool
    verbose : bool

    Returns
    -------
    FeatureExtractor

    Raises
    ------
    InputError
        If an image or the weights cannot be used.
    """
    if weights_file is not None:
        weights.require_readable(weights_file)
    counts = ", ".join(f"{count} {name}" for name, count in dataset.counts().items())
    log.info(f"loading images: {counts}...")
    runtime.start(verbose)
    home = cache_folder or default_folder()
    cache = Cache(None if no_cache else home)
    pixel_store = PixelStore()
    with log.timed("read"):
        traits = inspect([image.path for image in dataset.images], cache, pixel_store, log.quiet)
        found, origin = weights.load(weights_file, home, log.info)
    with log.timed("import TensorFlow (what reading did not hide)"):
        runtime.ready()
    with log.timed("choose precision"):
        chosen = "float32" if (pooling, precision) == ("depths", "auto") else choose_precision(precision, cache)
    for note in named_notes([(image.file, trait.note) for image, trait in zip(dataset.images, traits, strict=True)]):
        log.info(note)
    if cache.trouble:
        log.info(f"features are not kept: {home} cannot be used ({cache.trouble})")
    twins = find_near_duplicates(dataset, traits)
    same = patients(dataset.images, [trait.digest for trait in traits], twins)
    backbone = Backbone(found, cache)
    return FeatureExtractor(dataset, traits, same, twins, backbone, pooling, origin, chosen, pixel_store, log)


def find_near_duplicates(dataset: Dataset, traits: Sequence[Traits]) -> list[tuple[int, int]]:
    """Return pairs of images of different patients that are nearly, but not byte for byte, the same.

    Phantoms are more alike than people are, and the bound was measured on people: they have no near duplicates.

    Parameters
    ----------
    dataset : Dataset
    traits : sequence of Traits
        Of each image.

    Returns
    -------
    list of (int, int)
        Sorted, the smaller index first.
    """
    if all(image.source == PHANTOM for image in dataset.images):
        return []
    everything = np.arange(len(traits))
    who = patients(dataset.images, [trait.digest for trait in traits])
    pairs = near_pairs(as_words([trait.hash for trait in traits]), everything, everything)
    return [
        (first, second)
        for first, second in pairs
        if first < second and who[first] != who[second] and traits[first].digest != traits[second].digest
    ]
