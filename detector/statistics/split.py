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


def by_patient(labels: np.ndarray, patients: np.ndarray, classes: Sequence[str], test_size: float, seed: int) -> Split:
    """Split so that no patient is on both sides and each class is held out in about the same share.

    Patients come in random order; one is held out if that brings the held-out images of the classes nearer to their
    share. A class of which none would be held out gives up its smallest patient.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    patients : ndarray of shape (n,)
    classes : sequence of str
    test_size : float
        Share to hold out, in (0, 1).
    seed : int

    Returns
    -------
    train, held_out : ndarray of int

    Raises
    ------
    InputError
        If a class has images of one patient only.
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
    target = counts.sum(0) * test_size
    held = np.zeros(len(classes), int)
    chosen: set[int] = set()
    order = np.random.default_rng(seed).permutation(len(names))
    for patient in order:
        if np.abs(target - held - counts[patient]).sum() < np.abs(target - held).sum():
            chosen.add(int(patient))
            held += counts[patient]
    for index in np.flatnonzero(held == 0):
        smallest = min((p for p in order if counts[p, index]), key=lambda p: counts[p].sum())
        chosen.add(int(smallest))
        held += counts[smallest]
    mask = np.isin(inverse, list(chosen))
    train, held_out = np.flatnonzero(~mask), np.flatnonzero(mask)
    _require_all_classes(labels, train, held_out, classes)
    return train, held_out


def by_image(labels: np.ndarray, classes: Sequence[str], test_size: float, seed: int) -> Split:
    """Split at random within each class, as the tutorial does, whoever the images are of.

    Raises
    ------
    InputError
        If a class has too few images to be on both sides.
    """
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels, minlength=len(classes))
    held = int(np.ceil(test_size * len(labels)))
    if counts.min() < 2 or not len(classes) <= held <= len(labels) - len(classes):
        name = classes[int(counts.argmin())]
        raise InputError(
            f"{len(labels)} images, {counts.min()} of them {name}, are too few to hold out {test_size:.0%} "
            "with every class on both sides; add images or change --test-size"
        )
    train, held_out = train_test_split(np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=seed)
    train, held_out = np.sort(train), np.sort(held_out)
    _require_all_classes(labels, train, held_out, classes)
    return train, held_out


def _require_all_classes(labels: np.ndarray, train: np.ndarray, held_out: np.ndarray, classes: Sequence[str]) -> None:
    for index, name in enumerate(classes):
        for side, rows in (("training", train), ("held-out", held_out)):
            if index not in labels[rows]:
                raise InputError(f"the split leaves no {name} among the {side} images; add images of other patients")


def draw_folds(
    labels: np.ndarray, patients: np.ndarray, classes: Sequence[str], count: int, repeats: int, seed: int
) -> FoldPlan:
    """Draw the folds of every repeat of a cross-validation.

    Parameters
    ----------
    labels, patients, classes, count, seed
        As of `folds`.
    repeats : int

    Returns
    -------
    FoldPlan

    Raises
    ------
    InputError
        If a class has fewer patients than there are folds.
    """
    return FoldPlan([folds(labels, patients, classes, count, seed, repeat) for repeat in range(repeats)], seed)


def folds(
    labels: np.ndarray, patients: np.ndarray, classes: Sequence[str], count: int, seed: int, repeat: int = 0
) -> list[Split]:
    """Return the stratified folds of a cross-validation; no patient is on both sides of any.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    patients : ndarray of shape (n,)
        All different for folds by image.
    classes : sequence of str
    count : int
        Number of folds, from 2 up.
    seed : int
    repeat : int, default=0
        Each has folds of its own, which no repeat of another seed has.

    Returns
    -------
    list of (train, held_out), each an ndarray of int

    Raises
    ------
    TooFewPatientsError
        If a class has fewer patients than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    for index, name in enumerate(classes):
        known = len(set(patients[labels == index]))
        if known < count:
            advice = f"use --folds {known}, or add patients" if known > 1 else "add patients"
            raise TooFewPatientsError(
                f"class {name} has {counted(known, 'patient')}, too few for {count} folds; {advice}"
            )
    everyone = set(labels)
    key = (repeat,) if repeat else ()
    for attempt in range(ATTEMPTS):
        state = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, attempt], spawn_key=key)))
        chosen = list(StratifiedGroupKFold(count, shuffle=True, random_state=state).split(labels, labels, patients))
        if all(set(labels[held_out]) == everyone == set(labels[train]) for train, held_out in chosen):
            return chosen
    raise TooFewPatientsError(
        f"no {count} folds could be drawn that all have every class, patients kept whole; "
        f"{'use fewer folds' if count > 2 else 'add patients'}"
    )


def describe_patients(known: int, images: int, patients: int) -> str:
    """Return what is assumed about patients, where those of some images are not known.

    Parameters
    ----------
    known : int
        Images whose patient is known.
    images : int
    patients : int
        Different ones, as assumed.

    Returns
    -------
    str
    """
    if known == images:
        return f"{images} images of {patients} patients"
    others = "every other image is assumed to be of a patient of its own"
    return f"the patient of {known} of {images} images is known; {others}"
