"""What heads are fitted to and evaluated on: features, labels, patients and clinical values of the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.datasets import clinical
from detector.images.occlusion import Occlusion
from detector.network import head
from detector.network.head import AfterEpoch, TrainingSet
from detector.training.extraction import FeatureExtractor
from detector.training.recipes import Recipe


@dataclass(frozen=True)
class FittedHead:
    """A trained head, and how the clinical values that it takes are encoded.

    Attributes
    ----------
    trained : head.TrainedHead
    columns : list of dict
        Empty where there are no clinical values.
    """

    trained: head.TrainedHead
    columns: list[clinical.Column]

    def predict_proba(self, features: np.ndarray, table: Sequence[Mapping[str, str]]) -> np.ndarray:
        """Return predicted probabilities, from features (n, width) and the manifest's rows of the same images."""
        extra = clinical.encode(self.columns, table)
        return head.predict_proba(_joined(features, extra), self.trained.weights)


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
    strata : ndarray of shape (n,), str
        Site and view; empty where the site is not known.
    classes : list of str
    table : list of dict
        The manifest's rows.
    clinical : list of str
        Its columns that join the features.
    known_patients : ndarray of shape (n,), optional
        The patient of each image, where splits keep something else whole.
    """

    augmented: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    strata: np.ndarray
    classes: list[str]
    table: Sequence[Mapping[str, str]]
    clinical: Sequence[str] = ()
    known_patients: np.ndarray | None = None

    @property
    def patients(self) -> np.ndarray:
        """The patient of each image: the unit of every interval, whatever splits keep whole."""
        return self.groups if self.known_patients is None else self.known_patients

    def subset(self, rows: np.ndarray) -> FeatureSet:
        """Return what is about some of the images."""
        return replace(
            self,
            augmented=self.augmented[rows],
            features=self.features[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            known_patients=None if self.known_patients is None else self.known_patients[rows],
            strata=self.strata[rows],
            table=[self.table[row] for row in rows],
        )

    def fit(
        self,
        rows: np.ndarray,
        recipe: Recipe,
        seed: int,
        held_out: np.ndarray | None = None,
        after_epoch: AfterEpoch = lambda epoch, metrics: None,
    ) -> FittedHead:
        """Fit a head to some of the images; no other image affects it.

        Parameters
        ----------
        rows : ndarray of int
        recipe : TutorialRecipe or ProbeRecipe
        seed : int
        held_out : ndarray of int, optional
            Images that are evaluated after each epoch.
        after_epoch : callable

        Returns
        -------
        FittedHead
        """
        table = [self.table[row] for row in rows]
        columns = clinical.fit(self.clinical, table)
        extra = clinical.encode(columns, table)
        validation = None
        if held_out is not None:
            beside = clinical.encode(columns, [self.table[row] for row in held_out])
            validation = _joined(self.features[held_out], beside), self.labels[held_out]
        augmented = self.augmented[rows]
        joined = _joined(augmented, np.repeat(extra[:, None], augmented.shape[1], axis=1))
        data = TrainingSet(joined, self.labels[rows], self.classes, self.groups[rows], self.strata[rows])
        return FittedHead(recipe.fit(data, seed, validation, after_epoch), columns)

    def predict_proba(self, fitted: FittedHead, rows: np.ndarray) -> np.ndarray:
        """Return a trained head's predicted probabilities of some of the images, shape (n, classes)."""
        return fitted.predict_proba(self.features[rows], [self.table[row] for row in rows])


@dataclass(frozen=True)
class Comparison:
    """Which images are compared, by which classes.

    Attributes
    ----------
    rows : ndarray of shape (n,), int
        Among the run's images.
    labels : ndarray of shape (n,), int
    classes : list of str
    groups : ndarray of shape (n,), optional
        What splits keep on one side; by default patients.
    clinical_columns : sequence of str
    """

    rows: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]
    groups: np.ndarray | None = None
    clinical_columns: Sequence[str] = ()


def extract(
    extractor: FeatureExtractor,
    recipe: Recipe,
    compared: Comparison,
    seed: int,
    sides: tuple[np.ndarray, np.ndarray] | None = None,
    occlusion: Occlusion | None = None,
) -> FeatureSet:
    """Compute the features that a recipe needs.

    Parameters
    ----------
    extractor : FeatureExtractor
    recipe : TutorialRecipe or ProbeRecipe
    compared : Comparison
    seed : int
        Of the rotations.
    sides : tuple of ndarray of int, optional
        Which of the compared images are ever trained on, and which evaluated; by default all.
    occlusion : Occlusion, optional
        Masks out a part of each first.

    Returns
    -------
    FeatureSet
    """
    images = np.asarray(compared.rows)
    everything = np.arange(len(images))
    train, held_out = sides or (everything, everything)
    if recipe.rotations == 0 and extractor.precision == "float32":
        # Trained on and evaluated as they are: one array, from one pass.
        both = np.union1d(train, held_out)
        features = _placed(extractor.features(images[both], occlusion), both, len(images))
        augmented = features[:, None]
    else:
        copies = extractor.augmented(images[train], recipe.rotations, seed, occlusion)
        augmented = _placed(copies, train, len(images))
        features = _placed(extractor.features(images[held_out], occlusion), held_out, len(images))
    chosen = [extractor.dataset.images[image] for image in images]
    return FeatureSet(
        augmented,
        features,
        np.asarray(compared.labels),
        extractor.patients[images] if compared.groups is None else compared.groups,
        np.array([image.stratum for image in chosen]),
        list(compared.classes),
        [image.row for image in chosen],
        compared.clinical_columns,
        extractor.patients[images],
    )


def _placed(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return values at their places among so many; nan elsewhere."""
    if len(rows) == count:
        return values
    found = np.full((count, *values.shape[1:]), np.nan, np.float32)
    found[rows] = values
    return found


def _joined(features: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Return features with further columns; where there are none, themselves: a copy could be gigabytes."""
    return np.concatenate([features, extra], axis=-1) if extra.shape[-1] else features
