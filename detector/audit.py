"""The experiments that tell what a classifier learnt: training's own head and folds, on other images or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, clinical, crossvalidation, head, split
from detector.audit_images import CONTROLS, Parts
from detector.evaluation import predict
from detector.intervals import Area, Proportion, patient_area, proportion
from detector.material import Material
from detector.model import Description
from detector.occlusion import Occlusion
from detector.study import Study
from detector.traits import linear_area, trait_matrix

TRAINED = "as trained"
WITHOUT = "lungs blacked out"
ONLY = "lungs only"
TRAITS = "file traits only"
CLINICAL = "clinical values only"
SOURCES = "controls v the other classes"
DISEASE = "positives v controls"
DISEASE_ONLY = "positives v controls, lungs only"
EXTERNAL = "external images"
SHUFFLED = "shuffled labels"

DEALS = 5  # of shuffled labels, at least


@dataclass(frozen=True)
class Experiment:
    """One row of the audit."""

    name: str
    question: str
    auc: Area


@dataclass(frozen=True)
class Settings:
    """How every experiment is run, the same way as training."""

    positive: str
    rotations: int
    recipe: head.Recipe
    folds: int
    repeats: int
    seed: int
    clinical: Sequence[str] = ()


class Audit:
    """The experiments on one study.

    Parameters
    ----------
    study : Study
        Opened on ``parts.dataset``.
    parts : Parts
    settings : Settings
    masks : dict of str to Path
        Lung masks by the image's stem; empty for none. Where both sides of an experiment have enough of them, it is
        made on the images that have one; else with a centred box: a mask for one class and a box for the other would
        tell them apart by itself.
    """

    def __init__(self, study: Study, parts: Parts, settings: Settings, masks: dict[str, Path]) -> None:
        self.study, self.parts, self.settings, self.masks = study, parts, settings, masks
        self.notes: list[str] = []

    def run(self) -> list[Experiment]:
        """Run every experiment that the given folders allow."""
        own, controls = self.parts.own, self.parts.controls
        found = [
            self._compare(TRAINED, "the number that everyone quotes", own),
            self._compare(WITHOUT, "is there an answer without lungs?", own, keep_lungs=False),
            self._compare(ONLY, "is there one in them?", own, keep_lungs=True),
        ]
        traits = self._traits()
        if traits:
            found.append(traits)
        if self.settings.clinical:
            found.append(self._clinical_only())
        if len(controls):
            positives = own[self._labels(own) == self.settings.positive]
            rest = own[self._labels(own) != self.settings.positive]
            found += [
                self._compare(SOURCES, "does the source alone tell?", np.concatenate([controls, rest]), CONTROLS),
                self._compare(DISEASE, "disease or source?", np.concatenate([positives, controls])),
                self._compare(
                    DISEASE_ONLY, "disease, seen in the lungs?", np.concatenate([positives, controls]), keep_lungs=True
                ),
            ]
        found.append(self._shuffled())
        return found

    def called_positive(self) -> Proportion | None:
        """Return the share of controls that the detector, trained on the whole data set, calls positive."""
        if not len(self.parts.controls):
            return None
        own, positive = self.parts.own, self.study.dataset.classes.index(self.settings.positive)
        whole = self._material(own, self.settings.positive, None, binary=False)
        fitted = whole.train(np.arange(len(own)), self.settings.recipe, self.settings.seed)
        said = fitted.probabilities(self.study.exact(self.parts.controls), [{}] * len(self.parts.controls))
        return proportion((predict(said, positive) == positive).sum(), len(said))

    def external(self, weights: head.Arrays, description: Description) -> Experiment:
        """Judge a saved model, without any training, on images from elsewhere."""
        rows = self.parts.external
        table = [self.study.dataset.images[row].row for row in rows]
        features = np.concatenate([self.study.exact(rows), clinical.encode(description.clinical, table)], axis=1)
        said = head.probabilities(features, weights)[:, description.classes.index(description.positive)]
        truth = self._labels(rows) == description.positive
        area = patient_area(said[None], truth, self.study.patients[rows], self.settings.seed)
        return Experiment(EXTERNAL, "does the saved model travel?", area)

    def _labels(self, rows: np.ndarray) -> np.ndarray:
        return np.array([self.study.dataset.images[row].label for row in rows])

    def _material(self, rows: np.ndarray, positive: str, hide: Occlusion | None, binary: bool = True) -> Material:
        """Return features of images, labelled as the positive class or not, or by their own classes."""
        names = self._labels(rows)
        classes = [positive, "others"] if binary else self.study.dataset.classes
        labels = (names != positive).astype(int) if binary else np.array([classes.index(name) for name in names])
        settings = self.settings
        return Material(
            self.study.copies(rows, settings.rotations, settings.seed, hide),
            self.study.exact(rows, hide),
            labels,
            self.study.patients[rows],
            classes,
            [self.study.dataset.images[row].row for row in rows],
        )

    def _compare(
        self, name: str, question: str, rows: np.ndarray, positive: str | None = None, keep_lungs: bool | None = None
    ) -> Experiment:
        hide = None
        if keep_lungs is not None:
            rows, hide = self._occlusion(name, rows, keep_lungs)
        self.study.story.tell(f"{name}: {len(rows)} images...")
        return self._validate(name, question, self._material(rows, positive or self.settings.positive, hide))

    def _occlusion(self, name: str, rows: np.ndarray, keep_lungs: bool) -> tuple[np.ndarray, Occlusion]:
        """Return the images of an occlusion experiment and what hides: masks if both sides have enough, or a box."""
        masked = np.array([row for row in rows if self.study.dataset.images[row].path.stem in self.masks], int)
        if self._can_be_validated(masked):
            if len(masked) < len(rows):
                self.notes.append(f"{name}: only the {len(masked)} of {len(rows)} images that have a lung mask")
            return masked, Occlusion(keep_lungs, self.masks)
        if self.masks:
            self.notes.append(f"{name}: a centred box for the lungs, since one side has no masks, or too few")
        return rows, Occlusion(keep_lungs)

    def _can_be_validated(self, rows: np.ndarray) -> bool:
        labels = (self._labels(rows) != self.settings.positive).astype(int)
        try:
            split.folds(labels, self.study.patients[rows], ["positive", "others"], self.settings.folds, 0)
        except InputError:
            return False
        return True

    def _validate(self, name: str, question: str, found: Material, repeats: int | None = None) -> Experiment:
        settings, quiet = self.settings, self.study.story.quiet
        repeats = repeats or settings.repeats
        said = crossvalidation.out_of_fold(
            found, 0, settings.recipe, settings.folds, repeats, settings.seed, quiet=quiet
        )
        scores, truth = said.probabilities[..., 0], found.labels == 0
        return Experiment(name, question, patient_area(scores, truth, found.patients, settings.seed))

    def _shuffled(self) -> Experiment:
        """Deal the labels out anew among patients, in every repeat: nothing may be found.

        The interval is the mean of those of the single deals, since the luck of one deal is what it stands for.
        """
        self.study.story.tell(f"{SHUFFLED}...")
        found = self._material(self.parts.own, self.settings.positive, None)
        _, first, inverse = np.unique(found.patients, return_index=True, return_inverse=True)
        deals = []
        for repeat in range(max(self.settings.repeats, DEALS)):
            dealt = np.random.default_rng([self.settings.seed, repeat]).permutation(found.labels[first])
            deals.append(self._validate(SHUFFLED, "", replace(found, labels=dealt[inverse]), repeats=1).auc)
        mean = [float(np.mean([getattr(deal, name) for deal in deals])) for name in ("value", "low", "high")]
        return Experiment(SHUFFLED, "is the harness itself sound?", Area(*mean, deals[0].positives, deals[0].negatives))

    def _traits(self) -> Experiment | None:
        own = self.parts.own
        truth = self._labels(own) == self.settings.positive
        area = linear_area(
            trait_matrix([self.study.traits[row] for row in own]),
            truth,
            self.study.patients[own],
            self.settings.seed,
        )
        return Experiment(TRAITS, "does it need pixels at all?", area) if area else None

    def _clinical_only(self) -> Experiment:
        own = self.parts.own
        table = [self.study.dataset.images[row].row for row in own]
        # Encoded on all images: for a linear model, standardising with or without the held-out ones is no matter.
        columns = clinical.encode(clinical.fit(self.settings.clinical, table), table)
        truth = self._labels(own) == self.settings.positive
        area = linear_area(columns, truth, self.study.patients[own], self.settings.seed)
        if area is None:
            raise InputError("--clinical: too few patients to cross-validate clinical values alone")
        return Experiment(CLINICAL, "does it need an image at all?", area)
