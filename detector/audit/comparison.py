"""What the experiments of an audit are made of: images, parts of them hidden, told apart in training's own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from detector import InputError
from detector.audit.image_sets import ImageSets
from detector.audit.linear_baseline import area_or_why
from detector.audit.metrics import Scored
from detector.images.inspection import first_names
from detector.images.lungs import coarse, describe, surroundings
from detector.images.occlusion import WITHOUT_LUNGS, Occlusion
from detector.statistics import split
from detector.statistics.roc import Area, patient_area
from detector.statistics.strata import comparable
from detector.training import crossvalidation
from detector.training.extraction import FeatureExtractor
from detector.training.feature_set import FeatureSet, extract
from detector.training.recipes import ProbeRecipe, Recipe


@dataclass(frozen=True)
class Settings:
    """How every experiment is run, the same way as training.

    Attributes
    ----------
    positive : str
    recipe : TutorialRecipe or ProbeRecipe
    adjust : {"auto", "strata", "none"}
        Of the probe, in each experiment anew: strata wherever they hold both sides of it.
    folds, repeats, seed : int
    clinical : sequence of str
    """

    positive: str
    recipe: Recipe
    adjust: str
    folds: int
    repeats: int
    seed: int
    clinical: Sequence[str] = ()


@dataclass
class Audit:
    """An audit under way.

    Attributes
    ----------
    extractor : FeatureExtractor
        Opened on ``sets.dataset``.
    sets : ImageSets
    settings : Settings
    masks : dict of str to Path
        Lung masks by the image's stem; empty for none. Where both sides of an experiment have enough of them, it is
        made on the images that have one; else on lungs that are found here, of both sides alike: masks of two makers
        would tell the classes apart by themselves.
    notes : list of str
        What has to be said beside the figures.
    scored : Scored or None
        What heads said of the data set in the first experiment, for those that look at it again.
    """

    extractor: FeatureExtractor
    sets: ImageSets
    settings: Settings
    masks: dict[str, Path]
    notes: list[str] = field(default_factory=list)
    scored: Scored | None = None

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Return the classes of some images, by name."""
        return np.array([self.extractor.dataset.images[row].label for row in rows])

    def is_positive(self, rows: np.ndarray) -> np.ndarray:
        """Return which of some images are of the positive class."""
        return self.labels(rows) == self.settings.positive

    def own_positives(self) -> np.ndarray:
        """Return the data set's images of the positive class."""
        return self.sets.own[self.is_positive(self.sets.own)]

    def own_others(self) -> np.ndarray:
        """Return the data set's images of the other classes."""
        return self.sets.own[~self.is_positive(self.sets.own)]

    def recipe_for(self, labels: np.ndarray, strata: np.ndarray, classes: int, sides: Sequence[np.ndarray]) -> Recipe:
        """Return the recipe for a comparison: adjusted if so asked, or if every one of its training sides can be."""
        recipe = self.settings.recipe
        if not isinstance(recipe, ProbeRecipe) or self.settings.adjust == "none":
            return recipe
        everywhere = [np.arange(len(labels)), *sides]
        return replace(recipe, adjusted=all(comparable(labels[rows], strata[rows], classes) for rows in everywhere))


def feature_set(
    audit: Audit, rows: np.ndarray, positive: str, hide: Occlusion | None, binary: bool = True
) -> FeatureSet:
    """Return features of images, labelled as the positive class or not, or by their own classes."""
    names = audit.labels(rows)
    classes = [positive, "others"] if binary else audit.extractor.dataset.classes
    labels = (names != positive).astype(int) if binary else np.array([classes.index(name) for name in names])
    return extract(audit.extractor, audit.settings.recipe, classes, labels, rows, audit.settings.seed, hide=hide)


def compare(
    audit: Audit, name: str, rows: np.ndarray, positive: str | None = None, part: str | None = None
) -> Area | str:
    """Cross-validate on images, with their lungs hidden or nothing but these shown.

    Parameters
    ----------
    audit : Audit
    name : str
        Of the experiment.
    rows : ndarray of int
        Which images.
    positive : str, optional
        The class that is told from all others.
    part : {"around both lungs", "lungs only", "outline"}, optional
        What is shown; by default everything.

    Returns
    -------
    Area or str
        Why there is none.
    """
    hide = None
    if part is not None:
        rows, hide = _occlusion(audit, name, rows, part)
        if not _can_be_validated(audit, rows):
            return f"undefined, lungs were found in {len(rows)} images only"
    audit.extractor.log.info(f"{name}: {len(rows)} images...")
    return cross_validated(audit, feature_set(audit, rows, positive or audit.settings.positive, hide))


def cross_validated(audit: Audit, samples: FeatureSet, repeats: int | None = None) -> Area:
    """Return the area under the ROC curve of the first class, out of fold."""
    scores = out_of_fold_scores(audit, samples, repeats or audit.settings.repeats)
    return patient_area(scores, samples.labels == 0, samples.groups, audit.settings.seed)


def out_of_fold_scores(audit: Audit, samples: FeatureSet, repeats: int) -> np.ndarray:
    """Return the probability of the first class, out of fold, shape (repeats, n)."""
    settings = audit.settings
    sides = [
        train
        for repeat in range(repeats)
        for train, _ in split.folds(
            samples.labels, samples.groups, samples.classes, settings.folds, settings.seed + repeat
        )
    ]
    recipe = audit.recipe_for(samples.labels, samples.strata, len(samples.classes), sides)
    found = crossvalidation.out_of_fold(
        samples, 0, recipe, settings.folds, repeats, settings.seed, quiet=audit.extractor.log.quiet
    )
    return found.probabilities[..., 0]


def hidden_shape(audit: Audit, name: str) -> Area | str:
    """Tell the classes by the shape of what is blacked out where lungs are: it follows the disease, too."""
    rows, hide = _occlusion(audit, name, audit.sets.own, WITHOUT_LUNGS, quiet=True)
    if not _can_be_validated(audit, rows):
        return f"undefined, lungs were found in {len(rows)} images only"
    columns = np.array([coarse(surroundings(mask)) for mask in audit.extractor.masks(rows, hide)])
    return area_or_why(columns, audit.is_positive(rows), audit.extractor.patients[rows], audit.settings.seed)


def _occlusion(
    audit: Audit, name: str, rows: np.ndarray, part: str, quiet: bool = False
) -> tuple[np.ndarray, Occlusion]:
    """Return the images of an occlusion experiment and what hides: masks if both sides have enough, or lungs found."""
    notes: list[str] = [] if quiet else audit.notes
    masked = np.array([row for row in rows if audit.extractor.dataset.images[row].path.stem in audit.masks], int)
    if _can_be_validated(audit, masked):
        if len(masked) < len(rows):
            notes.append(f"{name}: only the {len(masked)} of {len(rows)} images that have a lung mask")
        return masked, Occlusion(part, audit.masks)
    if audit.masks:
        notes.append(f"{name}: lungs as they are found here, since one side has no masks, or too few")
    found = np.array([describe(mask).found for mask in audit.extractor.lungs(rows)])
    if not found.all():
        names = [audit.extractor.dataset.images[row].file for row in rows[~found]]
        notes.append(f"{name}: without {first_names(names)}, in which no lungs were found")
    return rows[found], Occlusion(part)


def _can_be_validated(audit: Audit, rows: np.ndarray) -> bool:
    labels = (~audit.is_positive(rows)).astype(int) if len(rows) else np.zeros(0, int)
    try:
        split.folds(labels, audit.extractor.patients[rows], ["positive", "others"], audit.settings.folds, 0)
    except InputError:
        return False
    return True
