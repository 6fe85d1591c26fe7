"""What the experiments of an audit are made of: images, classified in training's own way."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, counted, first_names
from detector.audit.image_sets import ImageSets
from detector.audit.linear_baseline import Baseline, border_matrix, cross_validate
from detector.audit.metrics import ScoredImages
from detector.datasets.dataset import Image
from detector.images.inspect import ImageProperties
from detector.images.lungs import describe
from detector.images.masks import Occlusion
from detector.statistics.auc import roc_auc
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, draw_folds, folds
from detector.statistics.strata import comparable
from detector.training import crossvalidation
from detector.training.crossvalidation import OutOfFold
from detector.training.dataset import Comparison, FeatureExtractor, FeatureSet, extract
from detector.training.recipes import ProbeRecipe, Recipe


@dataclass(frozen=True)
class ExperimentSettings:
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


@dataclass(frozen=True)
class Finding:
    """What an experiment found.

    Attributes
    ----------
    metric : Metric
        The ROC AUC, or why there is none.
    notes : tuple of str
        What has to be said beside it.
    """

    metric: Metric
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """The images and settings of an audit, and what several experiments look at: computed by the first that asks.

    Attributes
    ----------
    extractor : FeatureExtractor
        Opened on ``sets.dataset``.
    sets : ImageSets
    settings : ExperimentSettings
    masks : dict of str to Path
        Lung masks by the image's stem; empty for none. Where both sides of an experiment have enough of them, it is
        made on the images that have one; else lungs are found here for both sides: masks of two makers
        would separate the classes by themselves.
    """

    extractor: FeatureExtractor
    sets: ImageSets
    settings: ExperimentSettings
    masks: dict[str, Path]

    @functools.cached_property
    def samples(self) -> FeatureSet:
        """Features of the data set's images as they are; class 0 is the positive one."""
        return feature_set(self, self.sets.own, self.settings.positive, None)

    @functools.cached_property
    def validated(self) -> OutOfFold:
        """Out-of-fold predictions of the data set's images as they are, and the heads that made them."""
        return out_of_fold(self, self.samples, self.plan(self.samples))

    @functools.cached_property
    def scored(self) -> ScoredImages:
        """Out-of-fold scores of the data set's images as they are."""
        samples, predictions = self.samples, self.validated.predictions
        scores = predictions.probabilities[..., 0]
        return ScoredImages(scores, samples.labels == 0, samples.groups, samples.strata, predictions.folds)

    @functools.cached_property
    def border(self) -> Baseline:
        """Out-of-fold scores of the border of the data set's images."""
        own = self.sets.own
        columns = border_matrix(self.own_properties)
        return cross_validate(columns, self.is_positive(own), self.extractor.patients[own], self.settings.seed)

    @property
    def own_images(self) -> list[Image]:
        """The data set's images."""
        return [self.extractor.dataset.images[row] for row in self.sets.own]

    @property
    def own_properties(self) -> list[ImageProperties]:
        """The properties of the data set's images."""
        return [self.extractor.properties[row] for row in self.sets.own]

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

    def shares_sites(self) -> bool:
        """Say whether most images of each side are of sites that have images of both sides."""
        sites: dict[bool, list[str]] = {True: [], False: []}
        for image in self.own_images:
            sites[image.label == self.settings.positive].append(image.site)
        both = set(sites[True]) & set(sites[False]) - {""}
        return all(sum(site in both for site in side) > len(side) / 2 for side in sites.values())

    def plan(self, samples: FeatureSet, repeats: int | None = None, repeat: int = 0) -> FoldPlan:
        """Draw the folds of an experiment.

        Parameters
        ----------
        samples : FeatureSet
        repeats : int, optional
            By default those of the settings.
        repeat : int
            The first of them.
        """
        settings = self.settings
        seed = (
            settings.seed if not repeat else int(np.random.SeedSequence([settings.seed, repeat]).generate_state(1)[0])
        )
        return draw_folds(
            samples.labels, samples.groups, samples.classes, settings.folds, repeats or settings.repeats, seed
        )

    def recipe_for(self, samples: FeatureSet, sides: Sequence[np.ndarray]) -> Recipe:
        """Return the recipe for a comparison: adjusted if so asked, or if every one of its training sides can be."""
        recipe = self.settings.recipe
        if not isinstance(recipe, ProbeRecipe) or self.settings.adjust == "none":
            return recipe
        everywhere = [np.arange(len(samples.labels)), *sides]
        classes = len(samples.classes)
        possible = (comparable(samples.labels[rows], samples.strata[rows], classes) for rows in everywhere)
        return replace(recipe, adjusted=all(possible))

    def can_be_validated(self, rows: np.ndarray) -> bool:
        """Say whether both sides of some images have enough patients for the folds."""
        labels = (~self.is_positive(rows)).astype(int) if len(rows) else np.zeros(0, int)
        try:
            folds(labels, self.extractor.patients[rows], ["positive", "others"], self.settings.folds, 0)
        except InputError:
            return False
        return True


def feature_set(
    audit: Audit, rows: np.ndarray, positive: str, hide: Occlusion | None, binary: bool = True
) -> FeatureSet:
    """Return features of images, labelled as the positive class or not, or by their own classes."""
    names = audit.labels(rows)
    classes = [positive, "others"] if binary else audit.extractor.dataset.classes
    labels = (names != positive).astype(int) if binary else np.array([classes.index(name) for name in names])
    compared = Comparison(rows, labels, classes)
    return extract(audit.extractor, audit.settings.recipe, compared, audit.settings.seed, occlusion=hide)


def compare(audit: Audit, rows: np.ndarray, positive: str | None = None, part: str | None = None) -> Finding:
    """Cross-validate on images, with their lungs masked out or nothing but these shown.

    Parameters
    ----------
    audit : Audit
    rows : ndarray of int
        Which images.
    positive : str, optional
        The class that is separated from all others.
    part : {"around both lungs", "lungs only", "outline"}, optional
        What is shown; by default everything.

    Returns
    -------
    Finding
    """
    hide: Occlusion | None = None
    notes: tuple[str, ...] = ()
    if part is not None:
        rows, hide, notes = occlusion(audit, rows, part)
        if not audit.can_be_validated(rows):
            return Finding(too_few_lungs(rows))
    return Finding(cross_validated(audit, feature_set(audit, rows, positive or audit.settings.positive, hide)), notes)


def cross_validated(audit: Audit, samples: FeatureSet, plan: FoldPlan | None = None) -> Metric:
    """Return the ROC AUC of the first class, out of fold."""
    found = out_of_fold(audit, samples, plan or audit.plan(samples)).predictions
    return roc_auc(found.probabilities[..., 0], samples.labels == 0, samples.groups, folds=found.folds)


def out_of_fold(audit: Audit, samples: FeatureSet, plan: FoldPlan) -> OutOfFold:
    """Cross-validate in given folds; class 0 is the positive one."""
    return crossvalidation.out_of_fold(samples, 0, audit.recipe_for(samples, plan.training_sides), plan)


def too_few_lungs(rows: np.ndarray) -> Metric:
    """Return the metric of an experiment on lungs that are found in too few images."""
    return Metric.unavailable(f"lungs were found in {counted(len(rows), 'image')}, too few for the folds")


def occlusion(audit: Audit, rows: np.ndarray, part: str) -> tuple[np.ndarray, Occlusion, tuple[str, ...]]:
    """Return the images of an occlusion experiment, what is masked out, and what has to be said.

    Masks from files are used where both sides have enough of them, else lungs that are found.
    """
    notes: list[str] = []
    masked = np.array([row for row in rows if audit.extractor.dataset.images[row].path.stem in audit.masks], int)
    if audit.can_be_validated(masked):
        if len(masked) < len(rows):
            notes.append(f"uses {len(masked)} of {len(rows)} images: those with a lung mask")
        return masked, Occlusion(part, audit.masks), tuple(notes)
    if audit.masks:
        notes.append("uses lungs that this software finds: a class has too few images with a lung mask (--masks)")
    found = np.array([describe(mask).found for mask in audit.extractor.lungs(rows)], np.bool_)
    if not found.all():
        names = [audit.extractor.dataset.images[row].file for row in rows[~found]]
        notes.append(f"leaves out {first_names(names)}: no lungs were found")
    return rows[found], Occlusion(part), tuple(notes)
