"""The images of a run, read and checked, and the features, lungs and pixels of any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.cli.output import Log, progress
from detector.datasets.dataset import Dataset, Rows
from detector.files.atomic import sha256
from detector.images.duplicates import Copy
from detector.images.inspection import ImageProperties
from detector.images.lungs import packed
from detector.images.network_input import NetworkInput
from detector.images.occlusion import Occlusion, read_mask
from detector.images.pixel_store import PixelStore
from detector.images.rotation import angles, rotate_mask
from detector.network import lung_decoder
from detector.network.backbone import Backbone


@dataclass(frozen=True)
class FeatureExtractor:
    """A data set that was read and checked, with what is needed to compute features of it.

    Attributes
    ----------
    dataset : Dataset
    properties : list of ImageProperties
    patients : ndarray of shape (n,), str
        Equal where the patient is the same.
    near_duplicates : dict of (int, int) to Copy
        Pairs of images of one radiograph, the smaller index first.
    joined_patients : list of (int, int)
        Near duplicates of different patients, not byte for byte the same: these patients count as one.
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
    near_duplicates: Mapping[tuple[int, int], Copy]
    joined_patients: list[tuple[int, int]]
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
        return self._features(rows, [[0.0]] * len(rows), "float32", "VGG16, images", occlusion)

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
        features = self._features(rows, turned, self.precision, "VGG16, augmented copies", occlusion)
        return features.reshape(len(rows), max(count, 1), -1)

    def subset(self, rows: np.ndarray) -> FeatureExtractor:
        """Return the same run with some of its images only, in the same order."""
        position = {int(row): i for i, row in enumerate(rows)}
        kept = {
            pair: (position[pair[0]], position[pair[1]])
            for pair in self.near_duplicates
            if position.keys() >= set(pair)
        }
        return replace(
            self,
            dataset=replace(self.dataset, images=[self.dataset.images[row] for row in rows]),
            properties=[self.properties[row] for row in rows],
            patients=self.patients[rows],
            near_duplicates={pair: self.near_duplicates[earlier] for earlier, pair in kept.items()},
            joined_patients=[kept[pair] for pair in self.joined_patients if pair in kept],
        )

    def groups(self, split: str) -> np.ndarray:
        """Return what a split of this kind keeps whole: each patient, or each image."""
        return self.patients if split == "patient" else np.arange(len(self.properties)).astype(str)

    def lungs(self, rows: Rows) -> Iterator[np.ndarray]:
        """Yield where the lungs of images are, as the lung decoder finds them, (224, 224), bool."""
        inputs = [self._input(row) for row in rows]
        return self.backbone.lungs(inputs, self._read, lambda missing: self._shown(missing, "VGG16, images"))

    def lungs_of_copies(self, rows: Rows, seed: int) -> Iterator[np.ndarray]:
        """Yield where the lungs of training images are, found on the first rotated copy of each and turned back.

        Parameters
        ----------
        rows : sequence of int
        seed : int
            Of the rotations.

        Yields
        ------
        ndarray of shape (224, 224), bool
        """
        inputs = [self._input(row, angles(self.properties[row].digest, 1, seed)[0]) for row in rows]
        masks = self.backbone.lungs(
            inputs, self._read, lambda missing: self._shown(missing, "VGG16, augmented copies"), self.precision
        )
        for one, mask in zip(inputs, masks, strict=True):
            yield rotate_mask(mask, -one.angle)

    def masks(self, rows: Rows, occlusion: Occlusion) -> Iterator[np.ndarray]:
        """Yield the lungs of images as an occlusion has them, from files or found, (224, 224), bool."""
        if occlusion.files is None:
            return self.lungs(rows)
        return (read_mask(occlusion.files[self.dataset.images[row].path.stem]) for row in rows)

    def pixels(self, row: int, occlusion: Occlusion | None = None) -> np.ndarray:
        """Return an image as the base sees it, (224, 224, 3), uint8, a part of it hidden or not."""
        (one,) = self._inputs([row], [[0.0]], occlusion)
        return one.shown(self._read(one))

    def kept_maps(self, rows: Rows | np.ndarray) -> np.ndarray | None:
        """Return the last convolution's maps of images that passed in this run, whole; None if any did not.

        Parameters
        ----------
        rows : sequence of int

        Returns
        -------
        ndarray of shape (n, 14, 14, 512) or None
        """
        return self.backbone.kept_maps.of([self._input(row) for row in rows]) if all(map(self.is_kept, rows)) else None

    def is_kept(self, row: int) -> bool:
        """Say whether an image's maps of the last convolution are kept."""
        return self.occlusion is None and self._input(row) in self.backbone.kept_maps

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
        mask_from = f"found by {lung_decoder.DIGEST}" if occlusion.files is None else sha256(occlusion.files[path.stem])
        return NetworkInput(path, digest, angle, f"{occlusion.part}, {mask_from}", occlusion.part, packed(mask))

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
