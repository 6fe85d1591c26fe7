"""Stratified splits and folds that keep the images of a patient together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector import InputError, counted

ATTEMPTS = 20  # at folds that all have every class; uneven patients can leave one without
Split = tuple[np.ndarray, np.ndarray]  # indices of training and of held-out images, sorted


class TooFewPatientsError(InputError):
    """A class has too few patients for the folds that were asked for."""


@dataclass(frozen=True)
class FoldPlan:
    """The folds of a run: of a repeated cross-validation, or one alone, such as a hold-out or a site that is left out.

    Attributes
    ----------
    repeats : sequence of sequence of (train, held_out)
        The sides of each fold of each repeat; each repeat holds out the same images.
    seed : int
        That they were drawn with; fits of a fold draw from it too.
    """

    repeats: Sequence[Sequence[Split]]
    seed: int

    def __iter__(self) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Yield repeat, fold, training and held-out images."""
        for repeat, sides in enumerate(self.repeats):
            for fold, (train, held_out) in enumerate(sides):
                yield repeat, fold, train, held_out

    def __len__(self) -> int:
        """Return the number of folds of all repeats."""
        return sum(len(sides) for sides in self.repeats)

    @property
    def train(self) -> np.ndarray:
        """The images that any fold trains on, in order."""
        return np.unique(np.concatenate([train for train, _ in self.repeats[0]]))

    @property
    def held_out(self) -> np.ndarray:
        """The images that any fold holds out, in order."""
        return np.sort(np.concatenate([held_out for _, held_out in self.repeats[0]]))

    @property
    def folds(self) -> np.ndarray:
        """The fold of each repeat that holds out each of `held_out`, shape (repeats, n), int."""
        rows = self.held_out
        found = np.empty((len(self.repeats), len(rows)), int)
        for repeat, fold, _, held_out in self:
            found[repeat, np.searchsorted(rows, held_out)] = fold
        return found

    def seed_of(self, repeat: int, fold: int) -> int:
        """Return the seed of a fold's fit, which no other fold, repeat or seed of a run shares; alone, the plan's."""
        if len(self) == 1:
            return self.seed
        return int(np.random.SeedSequence(self.seed, spawn_key=(repeat, fold)).generate_state(1)[0])


def hold_out(
    labels: np.ndarray, patients: np.ndarray | None, classes: Sequence[str], test_size: float, seed: int
) -> FoldPlan:
    """Hold out some images, about the same share of each class.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    patients : ndarray of shape (n,), or None
        No patient is on both sides; None splits at random within each class, as the tutorial does.
    test_size : float
        Share to hold out, in (0, 1).
    """
    if patients is None:
        held_out = _some_images(labels, classes, test_size, seed)
    else:
        held_out = _some_patients(labels, patients, classes, test_size, seed)
    train = np.setdiff1d(np.arange(len(labels)), held_out)
    for index, name in enumerate(classes):
        for side, rows in (("training", train), ("held-out", held_out)):
            if index not in labels[rows]:
                raise InputError(f"the split leaves no {name} among the {side} images; add images of other patients")
    return FoldPlan([[(train, held_out)]], seed)


def _some_images(labels: np.ndarray, classes: Sequence[str], test_size: float, seed: int) -> np.ndarray:
    """Return images drawn at random within each class."""
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels, minlength=len(classes))
    held = int(np.ceil(test_size * len(labels)))
    if counts.min() < 2 or not len(classes) <= held <= len(labels) - len(classes):
        name = classes[int(counts.argmin())]
        raise InputError(
            f"{len(labels)} images, {counts.min()} of them {name}, are too few to hold out {test_size:.0%} "
            "with every class on both sides; add images or change --test-size"
        )
    return np.sort(train_test_split(np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=seed)[1])


def _some_patients(
    labels: np.ndarray, patients: np.ndarray, classes: Sequence[str], test_size: float, seed: int
) -> np.ndarray:
    """Return all images of some patients, each of whom brings the classes nearer to their share, in random order.

    A class of which none would be held out gives up its smallest patient.
    """
    for index, name in enumerate(classes):
        if len(set(patients[labels == index])) < 2:
            raise InputError(
                f"class {name} has images of one patient only, who cannot be on both sides of a split by patient; "
                "add patients, or accept one person on both sides with --split image"
            )
    names, inverse = np.unique(patients, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (inverse, labels), 1)
    target, chosen = counts.sum(0) * test_size, np.zeros(len(names), bool)
    order = np.random.default_rng(seed).permutation(len(names))
    for patient in order:
        missing = target - counts[chosen].sum(0)
        chosen[patient] = np.abs(missing - counts[patient]).sum() < np.abs(missing).sum()
    for index in np.flatnonzero(counts[chosen].sum(0) == 0):
        chosen[min((p for p in order if counts[p, index]), key=lambda p: counts[p].sum())] = True
    return np.flatnonzero(chosen[inverse])


def draw_folds(
    labels: np.ndarray, patients: np.ndarray, classes: Sequence[str], count: int, repeats: int, seed: int
) -> FoldPlan:
    """Draw the stratified folds of every repeat of a cross-validation; no patient is on both sides of any.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    patients : ndarray of shape (n,)
        All different for folds by image.
    count : int
        Number of folds, from 2 up; TooFewPatientsError if a class has fewer patients.
    repeats : int
        Each has folds of its own, which no repeat of another seed has.
    """
    for index, name in enumerate(classes):
        known = len(set(patients[labels == index]))
        if known < count:
            advice = f"use --folds {known}, or add patients" if known > 1 else "add patients"
            raise TooFewPatientsError(
                f"class {name} has {counted(known, 'patient')}, too few for {count} folds; {advice}"
            )
    return FoldPlan([_folds(labels, patients, count, seed, repeat) for repeat in range(repeats)], seed)


def _folds(labels: np.ndarray, patients: np.ndarray, count: int, seed: int, repeat: int) -> list[Split]:
    """Draw folds until each side of each has every class."""
    from sklearn.model_selection import StratifiedGroupKFold

    everyone, key = set(labels), (repeat,) if repeat else ()
    names, inverse = np.unique(patients, return_inverse=True)
    for attempt in range(ATTEMPTS):
        random = np.random.default_rng(np.random.SeedSequence([seed, attempt], spawn_key=key))
        # Patients are shuffled here: with shuffle=True, scikit-learn before 1.8 does not stratify (its issue 32478).
        shuffled = random.permutation(len(names))[inverse]
        chosen = list(StratifiedGroupKFold(count).split(labels, labels, shuffled))
        if all(set(labels[held_out]) == everyone == set(labels[train]) for train, held_out in chosen):
            return chosen
    raise TooFewPatientsError(
        f"no {count} folds could be drawn that all have every class, patients kept whole; "
        f"{'use fewer folds' if count > 2 else 'add patients'}"
    )
