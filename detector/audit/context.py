"""What an audit can be asked for, its images without those that prove nothing, and what its experiments have in common.

Images are classified in training's own way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from detector import InputError, counted, first_names
from detector.audit.metrics import cross_validate
from detector.cli.arguments import flag, whole_number
from detector.cli.output import Log, warn
from detector.datasets import clinical
from detector.datasets.dataset import MOST_NAMES, Dataset, Image, boxes_of, class_named, load, load_folder
from detector.datasets.identity import describe_overlap, find_overlap
from detector.images.inspect import ImageProperties
from detector.images.lungs import describe
from detector.images.masks import Occlusion, find_masks, require_lung_masks
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.raster import joined
from detector.network.model_file import shortened
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
    find_implausible,
    implausible_line,
    open_dataset,
    require_every_class,
)
from detector.training.options import DATA, EVALUATION, OUTPUTS, ModelOptions
from detector.training.recipes import Recipe

FEWEST_PERMUTATIONS = 19  # whose smallest p-value is 0.05
CONTROLS = "controls"  # their class; no class of the data set may have this name


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
class ImageSets:
    """A data set, its controls and external images in one list, so that they are read and computed in one go.

    `dataset` has all images, and the classes of the data set proper; `own`, `controls` and `external`, by the folder
    that was given, say which images are what. `notes` say what was left out, and why, by that folder; of the controls
    under an empty name.
    """

    dataset: Dataset
    own: np.ndarray
    controls: np.ndarray
    external: dict[str, np.ndarray]
    positive: str
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of images in all sets."""
        return len(self.own) + len(self.controls) + sum(map(len, self.external.values()))

    def filtered(self, keep: Callable[[np.ndarray, str], tuple[np.ndarray, str]]) -> ImageSets:
        """Return controls and external sets without what a function leaves out.

        It is given images and the folder that they are external in (empty for controls), and returns what is left, and
        why.
        """
        left, notes = {}, {}
        for name, rows in {"": self.controls, **self.external}.items():
            left[name], why = keep(rows, name)
            notes[name] = joined(self.notes.get(name, ""), why)
        return replace(self, controls=left.pop(""), external=left, notes=notes)


def load_image_sets(options: AuditOptions) -> ImageSets:
    """List the images of an audit: of the data set, of controls, and of class folders from elsewhere."""
    own = load(options.dataset, options.patient_from)
    for image in own.images:
        boxes_of(image)  # rejected before anything is computed
    positive = class_named(own.classes, options.positive_class, options.dataset)
    if CONTROLS in own.classes:
        raise InputError(
            f"data set {options.dataset} has a class named {CONTROLS}; rename it, or give it with --controls"
        )
    controls = load_folder(options.controls, options.patient_from) if options.controls else []
    external: dict[str, Sequence[Image]] = {}
    notes = [*own.notes]
    for given in options.external or []:
        found = load(given, options.patient_from, "--external")
        if positive not in found.classes:
            there = first_names(found.classes, MOST_NAMES)
            raise InputError(f"--external {given} has the classes {there}; {positive} must be among them")
        if str(given) in external:
            raise InputError(f"--external {given} is given twice")
        external[str(given)] = found.images
        notes += found.notes
    parts = [own.images, [replace(image, label=CONTROLS) for image in controls], *external.values()]
    images = [image for part in parts for image in part]
    rows = np.split(np.arange(len(images)), np.cumsum([*map(len, parts)])[:-1])
    everything = Dataset(images, own.classes, notes, own.name)
    return ImageSets(everything, rows[0], rows[1], dict(zip(external, rows[2:], strict=True)), positive)


def without_implausible(
    sets: ImageSets, extractor: FeatureExtractor, recipe: Recipe
) -> tuple[ImageSets, list[ImplausibleImage]]:
    """Name images that may be no frontal chest radiographs, by training's own rule, and leave out what it would.

    Lungs are found in the pass that gives the features.
    """
    named: list[ImplausibleImage] = []

    def keep(rows: np.ndarray, _: str) -> tuple[np.ndarray, str]:
        found, left = find_implausible(extractor, rows, extractor.lungs(rows), leave_out=recipe.pooling == "lungs")
        named.extend(found)
        left_out = [one for one in found if one.left_out]
        return rows[left], implausible_line(left_out, len(rows)) if left_out else ""

    own, _ = keep(sets.own, "")
    require_every_class([extractor.dataset.images[row] for row in sets.own], np.isin(sets.own, own))
    return replace(sets, own=own).filtered(keep), named


def without_overlap(sets: ImageSets, extractor: FeatureExtractor, trained: Sequence[str] = ()) -> ImageSets:
    """Leave out controls that are in the data set, and external images that are there or were trained on.

    Phantoms resemble each other more than people do: of two phantoms, only the same file counts. Near duplicates are
    paired with the first of their group, which is of the data set if any of the group is. `trained` are digests of the
    saved model's training images, which the files of external images are compared with, too.
    """
    images, digests = sets.dataset.images, [shortened(one.digest) for one in extractor.properties]
    own, mine = [images[row] for row in sets.own], {*sets.own.tolist()}
    both_ways = [(*pair, copy) for both, copy in extractor.near_duplicates.items() for pair in (both, both[::-1])]
    copies = {one: str(copy) for one, other, copy in both_ways if other in mine and images[one].source != PHANTOM}

    def keep(rows: np.ndarray, external: str) -> tuple[np.ndarray, str]:
        given = [images[row] for row in rows]
        known = {digests[row] for row in mine} | {*(trained if external else ())}
        changes = {position: copies[row] for position, row in enumerate(rows) if row in copies}
        found = find_overlap(given, [digests[row] for row in rows], own, known, changes)
        left = np.array([row for i, row in enumerate(rows) if i not in found], int)
        note = describe_overlap(found, given, changes, "the training set" if external else "the data set")
        return left, f"left out, since they would make this result invalid: {note}" if note else ""

    return sets.filtered(keep)


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

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """The data set's images of the positive class, and those of the others."""
        positive = self.is_positive(self.sets.own)
        return self.sets.own[positive], self.sets.own[~positive]

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
        positive, patients = self.is_positive(rows), self.extractor.patients[rows]
        return all(len(set(patients[side])) >= self.options.folds for side in (positive, ~positive))

    def feature_set(self, rows: np.ndarray, positive: str | None = None, hide: Occlusion | None = None) -> FeatureSet:
        """Return features of images, labelled as of a class (by default the positive one) or not."""
        classes = [positive or self.sets.positive, "others"]
        labels = (self.labels(rows) != classes[0]).astype(int)
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
    sets = without_overlap(sets, extractor, trained)
    for name, note in sets.notes.items():
        if note:
            warn(f"{f'--external {name}' if name else '--controls'}: {note}")
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
