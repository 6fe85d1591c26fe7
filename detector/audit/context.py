"""What an audit can be asked for, and what its experiments are made of: images, classified in training's own way."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from detector import counted, first_names
from detector.audit.image_sets import ImageSets, notes, without_implausible, without_overlap
from detector.audit.metrics import cross_validate
from detector.cli.arguments import flag, whole_number
from detector.cli.output import Log, warn
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.images.inspect import ImageProperties
from detector.images.lungs import describe
from detector.images.masks import Occlusion, find_masks, require_lung_masks
from detector.statistics.auc import Scores
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.training import crossvalidation
from detector.training.crossvalidation import OutOfFold
from detector.training.dataset import (
    FeatureExtractor,
    FeatureSet,
    ImplausibleImage,
    extract,
    implausible_line,
    open_dataset,
)
from detector.training.options import DATA, EVALUATION, OUTPUTS, ModelOptions
from detector.training.recipes import Recipe

FEWEST_PERMUTATIONS = 19  # whose smallest p-value is 0.05


@dataclass(frozen=True, kw_only=True)
class AuditOptions(ModelOptions):
    """All that an audit can be asked for."""

    controls: Path | None = flag(DATA, None, "other findings from the positives' site", type=Path, metavar="DIR")
    masks: Path | None = flag(DATA, None, "lung masks by the images' names (default: found)", type=Path, metavar="DIR")
    folds: int = flag(EVALUATION, 5, "folds of each experiment", type=whole_number(2), metavar="K")
    repeats: int = flag(EVALUATION, 3, "repeats with other folds", type=whole_number(1), metavar="R")
    permuted_labels: int = flag(
        EVALUATION,
        0,
        "also permute the labels N times: a p-value of the ROC AUC",
        type=whole_number(FEWEST_PERMUTATIONS),
        metavar="N",
    )
    external: list[Path] | None = flag(
        EVALUATION,
        None,
        "external test set for --model: a folder per class; repeatable",
        type=Path,
        metavar="DIR",
        action="append",
    )
    model: Path = flag(EVALUATION, Path("covid19.model.h5"), "saved model for --external", "-m", metavar="FILE")
    output_dir: Path = flag(OUTPUTS, Path("audit"), "audit.json, audit.png, report.html", "-o", metavar="DIR")

    def outputs(self) -> dict[str, Path]:
        """Return the files that an audit writes, by what they are."""
        found = {"json": self.output_dir / "audit.json", "figure": self.output_dir / "audit.png"}
        return found if self.no_report else found | {"report": self.report or self.output_dir / "report.html"}

    def settings(self) -> dict[str, object]:
        """Return the settings as the audit's JSON file has them."""
        names = ("folds", "repeats", "permuted_labels", "positive_class", "clinical_columns", "seed")
        return super().settings() | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Finding:
    """What an experiment found: the ROC AUC, what has to be said beside it, and the scores that others compare with."""

    metric: Metric
    notes: tuple[str, ...] = ()
    scored: Scores | None = None


@dataclass(frozen=True)
class Audit:
    """The images and settings of an audit, and what several experiments look at: computed by the first that asks.

    In each comparison class 0 is the positive one, and class 1 are all others. The extractor is opened on
    ``sets.dataset``. Lung masks are by the image's path. Where both sides of an experiment have enough of them, it is
    made on the images that have one; else lungs are found here for both sides: masks of two makers would separate the
    classes by themselves.
    """

    extractor: FeatureExtractor
    sets: ImageSets
    options: AuditOptions
    recipe: Recipe
    masks: dict[Path, Path]
    _parts: dict[str, Finding] = field(default_factory=dict, init=False, compare=False, repr=False)

    @functools.cached_property
    def samples(self) -> FeatureSet:
        """Features of the data set's images as they are."""
        return self.feature_set(self.sets.own)

    @functools.cached_property
    def validated(self) -> OutOfFold:
        """Out-of-fold predictions of the data set's images as they are, and the heads that made them."""
        return self.out_of_fold(self.samples)

    @functools.cached_property
    def scored(self) -> Scores:
        """Out-of-fold scores of the data set's images as they are."""
        return self.validated.predictions.scores(0)

    @functools.cached_property
    def border(self) -> Scores:
        """Out-of-fold scores of the outer 10 % of the data set's images, where no lung is."""
        return self.linear(np.array([one.border for one in self.own_properties], float), self.sets.own)

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
        return self.labels(rows) == self.sets.positive

    def own_positives(self) -> np.ndarray:
        """Return the data set's images of the positive class."""
        return self.sets.own[self.is_positive(self.sets.own)]

    def own_others(self) -> np.ndarray:
        """Return the data set's images of the other classes."""
        return self.sets.own[~self.is_positive(self.sets.own)]

    def shares_sites(self) -> bool:
        """Say whether most images of each side are of sites that have images of both sides."""
        positive, sites = self.is_positive(self.sets.own), np.array([image.site for image in self.own_images])
        both = set(sites[positive].tolist()) & set(sites[~positive].tolist()) - {""}
        return all(np.isin(sites[side], [*both]).mean() > 0.5 for side in (positive, ~positive))

    def plan(self, is_positive: np.ndarray, patients: np.ndarray, repeats: int | None = None) -> FoldPlan:
        """Draw the folds of an experiment, by default as often as asked for: of the same images they are the same."""
        labels, options, classes = (~is_positive).astype(int), self.options, (self.sets.positive, "others")
        return draw_folds(labels, patients, classes, options.folds, repeats or options.repeats, options.seed)

    def require_patients(self, rows: np.ndarray) -> None:
        """Raise TooFewPatientsError if a side of some images has too few patients for the folds."""
        self.plan(self.is_positive(rows), self.extractor.patients[rows], 1)

    def can_be_validated(self, rows: np.ndarray) -> bool:
        """Say whether both sides of some images have enough patients for the folds."""
        try:
            self.require_patients(rows)
        except TooFewPatientsError:
            return False
        return True

    def feature_set(
        self, rows: np.ndarray, positive: str | None = None, hide: Occlusion | None = None, binary: bool = True
    ) -> FeatureSet:
        """Return features of images, labelled as a class (by default the positive one) or not, or by their classes."""
        names, positive = self.labels(rows), positive or self.sets.positive
        classes = [positive, "others"] if binary else self.extractor.dataset.classes
        labels = (names != positive).astype(int) if binary else np.array([classes.index(name) for name in names])
        return extract(self.extractor, self.recipe, self.options.seed, rows, labels, classes, occlusion=hide)

    def out_of_fold(self, samples: FeatureSet, repeats: int | None = None) -> OutOfFold:
        """Cross-validate as training does."""
        plan = self.plan(samples.labels == 0, samples.groups, repeats)
        return crossvalidation.out_of_fold(samples, 0, self.recipe, plan)

    def linear(self, columns: np.ndarray, rows: np.ndarray, plan: FoldPlan | None = None) -> Scores:
        """Cross-validate a linear model of columns (n, …) of some images."""
        patients = self.extractor.patients[rows]
        return cross_validate(columns, self.is_positive(rows), patients, self.options.seed, plan)

    def compare(self, rows: np.ndarray, positive: str | None = None, part: str = "") -> Finding:
        """Cross-validate on images, of which one class is separated from all others.

        `part` of each is shown: ``"around both lungs"``, ``"lungs only"``, ``"outline"``, or by default everything.
        """
        hide: Occlusion | None = None
        notes: tuple[str, ...] = ()
        if part:
            rows, files, notes = self.with_lungs(rows)
            hide = Occlusion(part, files)
        scored = self.out_of_fold(self.feature_set(rows, positive, hide)).predictions.scores(0)
        return Finding(scored.auc(), notes, scored)

    def of_part(self, part: str) -> Finding:
        """Return what `compare` finds on a part of the data set's images; all parts have the same images and folds."""
        if part not in self._parts:
            self._parts[part] = self.compare(self.sets.own, part=part)
        return self._parts[part]

    def with_lungs(self, rows: np.ndarray) -> tuple[np.ndarray, Mapping[Path, Path] | None, tuple[str, ...]]:
        """Return those of some images whose lungs are known, by which masks, and what has to be said.

        Masks from files are used where both sides have enough of them, else lungs that are found (None).
        """
        images, notes = self.extractor.dataset.images, []
        masked = np.array([row for row in rows if images[row].path in self.masks], int)
        if self.can_be_validated(masked):
            some = f"uses {len(masked)} of {len(rows)} images: those with a lung mask"
            return masked, self.masks, (some,) if len(masked) < len(rows) else ()
        if self.masks:
            notes.append("uses lungs that this software finds: a class has too few images with a lung mask (--masks)")
        found = np.array([describe(mask).found for mask in self.extractor.lungs(rows)], np.bool_)
        if not self.can_be_validated(rows[found]):
            few = counted(int(found.sum()), "image")
            raise TooFewPatientsError(f"lungs were found in {few}, too few for the folds")
        if not found.all():
            names = [images[row].file for row in rows[~found]]
            notes.append(f"leaves out {first_names(names)}: no lungs were found")
        return rows[found], None, tuple(notes)


def open_audit(
    options: AuditOptions, sets: ImageSets, log: Log, trained: Sequence[str] = ()
) -> tuple[Audit, list[ImplausibleImage]]:
    """Read the images of an audit, and leave out what proves nothing, as what the saved model was `trained` on.

    Images that may be no frontal chest radiographs are returned, too, left out or not.
    """
    (recipe,) = options.recipes()
    images = sets.dataset.images
    clinical.fit(options.clinical_columns, [images[row].row for row in sets.own])
    with_masks = {images[row].path: images[row].label for row in (*sets.own, *sets.controls)}
    masks = find_masks(options.masks, with_masks) if options.masks else {}
    extractor = open_dataset(sets.dataset, log, recipe, options)
    sets = without_overlap(sets, extractor.properties, extractor.near_duplicates, trained)
    for note in notes(sets):
        warn(note)
    # What an experiment decides on its way is said by its notes.
    audit = Audit(replace(extractor, log=Log(True)), sets, options, recipe, masks)
    audit.require_patients(sets.own)  # before anything is computed
    with log.timed("find lungs"):
        left, implausible = without_implausible(sets, extractor, recipe)
        masked = [row for row in (*sets.own, *sets.controls) if images[row].path in masks]
        require_lung_masks(masks, zip([images[row].path for row in masked], extractor.lungs(masked), strict=True))
    if implausible:
        warn(implausible_line(implausible, sets.count))
    audit = replace(audit, sets=left)
    audit.require_patients(left.own)
    return audit, implausible
