"""What heads are trained and judged on: features, labels, patients and clinical values of the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector import clinical, head


@dataclass(frozen=True)
class Fitted:
    """A trained head, and how the clinical values that it takes are encoded.

    Attributes
    ----------
    training : head.Training
    columns : list of dict
        Empty where there are no clinical values.
    """

    training: head.Training
    columns: list[clinical.Column]

    def probabilities(self, features: np.ndarray, table: Sequence[Mapping[str, str]]) -> np.ndarray:
        """Return what the head says of features (n, 512) and of the manifest's rows of the same images."""
        extra = clinical.encode(self.columns, table)
        return head.probabilities(np.concatenate([features, extra], axis=1), self.training.weights)


@dataclass(frozen=True)
class Material:
    """What heads are trained and judged on.

    Attributes
    ----------
    copies : ndarray of shape (n, copies, 512), float32
        Features of training copies; nan for images that are never trained on.
    exact : ndarray of shape (n, 512), float32
        Features of the images as they are; nan for images that are never judged.
    labels : ndarray of shape (n,), int
    patients : ndarray of shape (n,)
    classes : list of str
    table : list of dict
        The manifest's rows.
    clinical : list of str
        Its columns that join the features.
    """

    copies: np.ndarray
    exact: np.ndarray
    labels: np.ndarray
    patients: np.ndarray
    classes: list[str]
    table: Sequence[Mapping[str, str]]
    clinical: Sequence[str] = ()

    def part(self, rows: np.ndarray) -> Material:
        """Return what is about some of the images."""
        return replace(
            self,
            copies=self.copies[rows],
            exact=self.exact[rows],
            labels=self.labels[rows],
            patients=self.patients[rows],
            table=[self.table[row] for row in rows],
        )

    def train(
        self,
        rows: np.ndarray,
        recipe: head.Recipe,
        seed: int,
        held_out: np.ndarray | None = None,
        after_epoch: Callable[[int, dict[str, float]], object] = lambda epoch, figures: None,
    ) -> Fitted:
        """Train a head on some of the images; nothing of any other has a say in it.

        Parameters
        ----------
        rows : ndarray of int
        recipe : head.Recipe
        seed : int
        held_out : ndarray of int, optional
            Images that are judged after each epoch.
        after_epoch : callable

        Returns
        -------
        Fitted
        """
        table = [self.table[row] for row in rows]
        columns = clinical.fit(self.clinical, table)
        extra = clinical.encode(columns, table)
        copies = self.copies[rows]
        repeated = np.repeat(extra[:, None], copies.shape[1], axis=1)
        judged = None
        if held_out is not None:
            beside = clinical.encode(columns, [self.table[row] for row in held_out])
            judged = np.concatenate([self.exact[held_out], beside], axis=1), self.labels[held_out]
        features = np.concatenate([copies, repeated], axis=2)
        training = head.train(features, self.labels[rows], len(self.classes), recipe, seed, judged, after_epoch)
        return Fitted(training, columns)

    def judge(self, fitted: Fitted, rows: np.ndarray) -> np.ndarray:
        """Return what a trained head says of some of the images, shape (n, classes)."""
        return fitted.probabilities(self.exact[rows], [self.table[row] for row in rows])
