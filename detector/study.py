"""A data set opened for a run: everything read and checked, patients told apart, features at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import runtime, weights
from detector.backbone import WIDTH, Backbone, View
from detector.cache import Cache, default_folder
from detector.command_line import Story, progress
from detector.dataset import Dataset, patients
from detector.inspection import Traits, inspect
from detector.occlusion import Occlusion
from detector.precision import choose_precision
from detector.rotation import angles
from detector.scratch import Scratch


@dataclass
class Study:
    """A data set with what is needed to compute features of it.

    Attributes
    ----------
    dataset : Dataset
    traits : list of Traits
    patients : ndarray of shape (n,), str
        Equal where the patient is the same.
    backbone : Backbone
    origin : str
        Where the weights came from.
    precision : str
        Of training copies.
    """

    dataset: Dataset
    traits: list[Traits]
    patients: np.ndarray
    backbone: Backbone
    origin: str
    precision: str
    scratch: Scratch
    story: Story

    def exact(self, rows: Sequence[int] | None = None, hide: Occlusion | None = None) -> np.ndarray:
        """Return features of images as they are, in float32: those that the saved model computes.

        Parameters
        ----------
        rows : sequence of int, optional
            Which images; all by default.
        hide : Occlusion, optional
            Hides a part of each first.

        Returns
        -------
        ndarray of shape (n, 512), float32
        """
        views = [self._view(row, 0.0, hide) for row in (range(len(self.traits)) if rows is None else rows)]
        return self._features(views, "float32", "held-out images through VGG16", hide)

    def copies(self, rows: Sequence[int], count: int, seed: int, hide: Occlusion | None = None) -> np.ndarray:
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
        ndarray of shape (n, max(count, 1), 512), float32
        """
        views = [
            self._view(row, angle, hide)
            for row in rows
            for angle in (angles(self.traits[row].digest, count, seed) if count else [0.0])
        ]
        features = self._features(views, self.precision, "training copies through VGG16", hide)
        return features.reshape(len(rows), max(count, 1), -1)

    def exact_of(self, rows: Sequence[int], hide: Occlusion | None = None) -> np.ndarray:
        """Return `exact` of some images in an array for all, (n, 512), nan elsewhere."""
        features = np.full((len(self.traits), WIDTH), np.nan, np.float32)
        features[rows] = self.exact(rows, hide)
        return features

    def copies_of(self, rows: Sequence[int], count: int, seed: int, hide: Occlusion | None = None) -> np.ndarray:
        """Return `copies` of some images in an array for all, (n, copies, 512), nan elsewhere."""
        features = np.full((len(self.traits), max(count, 1), WIDTH), np.nan, np.float32)
        features[rows] = self.copies(rows, count, seed, hide)
        return features

    def groups(self, kind: str) -> np.ndarray:
        """Return what a split of this kind keeps whole: each patient, or each image."""
        return self.patients if kind == "patient" else np.arange(len(self.traits)).astype(str)

    def pixels(self, view: View, hide: Occlusion | None = None) -> np.ndarray:
        """Return the pixels of a view before its rotation, (224, 224, 3), uint8."""
        pixels = self.scratch.pixels(view.path, view.digest)
        return hide.apply(pixels, view.path) if hide else pixels

    def _view(self, row: int, angle: float, hide: Occlusion | None) -> View:
        path = self.dataset.images[row].path
        return View(path, self.traits[row].digest, angle, hide.name(path) if hide else "")

    def _features(self, views: Sequence[View], precision: str, what: str, hide: Occlusion | None) -> np.ndarray:
        return self.backbone.features(
            views,
            precision,
            lambda view: self.pixels(view, hide),
            lambda missing: progress(missing, len(missing), what, self.story.quiet),
        )


def open_study(
    dataset: Dataset,
    story: Story,
    *,
    pool: str,
    weights_file: Path | None = None,
    precision: str = "auto",
    cache_folder: Path | None = None,
    no_cache: bool = False,
    verbose: bool = False,
) -> Study:
    """Open a data set: read every image while TensorFlow is imported, find the weights, choose the precision.

    Parameters
    ----------
    dataset : Dataset
    story : Story
    pool : {"corner", "global"}
    weights_file : Path, optional
    precision : {"auto", "float32", "bfloat16"}
    cache_folder : Path, optional
    no_cache : bool
    verbose : bool

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If an image or the weights cannot be used.
    """
    if weights_file is not None:
        weights.require_readable(weights_file)
    counts = ", ".join(f"{count} {name}" for name, count in dataset.counts().items())
    story.tell(f"loading images: {counts}...")
    runtime.start(verbose)
    home = cache_folder or default_folder()
    cache = Cache(None if no_cache else home)
    scratch = Scratch()
    with story.timed("read"):
        traits = inspect([image.path for image in dataset.images], cache, scratch, story.quiet)
        found, origin = weights.load(weights_file, home, story.tell)
    with story.timed("import TensorFlow (what reading did not hide)"):
        runtime.ready()
    with story.timed("choose precision"):
        chosen = choose_precision(precision, cache)
    if cache.trouble:
        story.tell(f"features are not kept: {home} cannot be used ({cache.trouble})")
    same = patients(dataset.images, [trait.digest for trait in traits])
    return Study(dataset, traits, same, Backbone(found, pool, cache), origin, chosen, scratch, story)
