"""Cross-validation on features, in which no patient is on both sides, and the operating point chosen inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector import clinical, head, split
from detector.command_line import progress
from detector.evaluation import Area, Evaluation, Proportion, auc, predict, proportion, resampled_interval

INNER_FOLDS = 3


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


@dataclass(frozen=True)
class OutOfFold:
    """What heads said of images that they had not seen.

    Attributes
    ----------
    probabilities : ndarray of shape (repeats, n, classes)
    predicted : ndarray of shape (repeats, n), int
        By the operating point of each fold.
    thresholds : list of float
        One of each fold, where they were chosen.
    """

    probabilities: np.ndarray
    predicted: np.ndarray
    thresholds: list[float]


def threshold_for(sensitivity: float, scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the highest threshold that calls at least a share of the positives positive.

    Parameters
    ----------
    sensitivity : float
        In (0, 1).
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool

    Returns
    -------
    float
    """
    positives = np.sort(scores[is_positive])[::-1]
    return float(positives[int(np.ceil(sensitivity * len(positives))) - 1])


def inner_threshold(material: Material, positive: int, sensitivity: float, recipe: head.Recipe, seed: int) -> float:
    """Choose an operating point on a training side alone, from what heads say of parts of it that they did not see.

    Returns
    -------
    float
        Of the positive class's probability.

    Raises
    ------
    InputError
        If a class has too few patients.
    """
    found = out_of_fold(material, positive, recipe, INNER_FOLDS, 1, seed)
    return threshold_for(sensitivity, found.probabilities[0][:, positive], material.labels == positive)


def out_of_fold(
    material: Material,
    positive: int,
    recipe: head.Recipe,
    folds: int,
    repeats: int,
    seed: int,
    threshold: float | None = None,
    sensitivity: float | None = None,
    quiet: bool = True,
) -> OutOfFold:
    """Cross-validate.

    Parameters
    ----------
    material : Material
    positive : int
        Index of the positive class.
    recipe : head.Recipe
    folds, repeats : int
    seed : int
        Each repeat draws folds of its own.
    threshold : float, optional
        A fixed operating point; None takes the likeliest class.
    sensitivity : float, optional
        Choose the operating point of each fold on its training side, to reach this.
    quiet : bool
        Show no progress.

    Returns
    -------
    OutOfFold

    Raises
    ------
    InputError
        If a class has fewer patients than there are folds.
    """
    n, classes = len(material.labels), len(material.classes)
    said = np.empty((repeats, n, classes))
    predicted = np.empty((repeats, n), int)
    thresholds: list[float] = []
    plan = [
        (repeat, fold, *sides)
        for repeat in range(repeats)
        for fold, sides in enumerate(
            split.folds(material.labels, material.patients, material.classes, folds, seed + repeat)
        )
    ]
    for repeat, fold, train, held_out in progress(plan, len(plan), "folds", quiet):
        own_seed = (seed + repeat) * 1000 + fold
        said[repeat, held_out] = material.judge(material.train(train, recipe, own_seed), held_out)
        at = threshold
        if sensitivity is not None:
            at = inner_threshold(material.part(train), positive, sensitivity, recipe, own_seed)
            thresholds.append(at)
        predicted[repeat, held_out] = predict(said[repeat, held_out], positive, at)
    return OutOfFold(said, predicted, thresholds)


def as_evaluation(found: OutOfFold, material: Material, positive: int, seed: int) -> Evaluation:
    """Return a cross-validation in figures: means over repeats; the confusion matrix is that of the first.

    The interval of the AUC is a percentile bootstrap that draws whole patients, since images of one person are alike;
    repeats differ in their folds only, and narrow nothing.

    Returns
    -------
    Evaluation
    """
    from sklearn.metrics import confusion_matrix

    labels, truth = material.labels, material.labels == positive

    def share(right: np.ndarray) -> Proportion:
        # The mean over repeats of how many were right, to the nearest image: Wilson's interval counts whole ones.
        return proportion(round(right.sum(axis=1).mean()), right.shape[1])

    return Evaluation(
        material.classes,
        material.classes[positive],
        confusion_matrix(labels, found.predicted[0], labels=np.arange(len(material.classes))),
        share(found.predicted == labels),
        share(found.predicted[:, truth] == positive),
        share(found.predicted[:, ~truth] != positive),
        patient_area(found.probabilities[..., positive], truth, material.patients, seed),
    )


def patient_area(scores: np.ndarray, is_positive: np.ndarray, patients: Sequence[str], seed: int) -> Area:
    """Return the mean area under the ROC curve over repeats, with a bootstrap interval over patients.

    Reference: C. M. Rutter, "Bootstrap estimation of diagnostic accuracy with patient-clustered data", Academic
    Radiology 7 (2000).

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    patients : sequence of str
    seed : int

    Returns
    -------
    Area
    """

    def mean_auc(rows: np.ndarray) -> float:
        ill, well = rows[is_positive[rows]], rows[~is_positive[rows]]
        return float(auc(scores[:, ill], scores[:, well]).mean())

    value = mean_auc(np.arange(len(is_positive)))
    low, high = resampled_interval(mean_auc, is_positive, np.asarray(patients), seed)
    return Area(value, low, high, int(is_positive.sum()), int((~is_positive).sum()))
