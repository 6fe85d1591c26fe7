"""The validity checks of a training run: what it can see for free of its own data and result."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from detector import counted, first_names
from detector.audit.evidence import BORDER, BORDER_ADJUSTED, FILES, METADATA
from detector.audit.linear_baseline import SUSPICIOUS
from detector.collections import kermany
from detector.datasets.dataset import Dataset
from detector.files.values import ADULT, years
from detector.images.duplicates import NOT_SEARCHED, Copy, with_change
from detector.statistics.metric import Metric
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE
from detector.training import dataset
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor, ImplausibleImage
from detector.training.recipes import ProbeRecipe, Recipe

Status = Literal["pass", "warn", "not_assessed"]
PASS: Status = "pass"
WARN: Status = "warn"
NOT_ASSESSED: Status = "not_assessed"


@dataclass(frozen=True)
class Check:
    """One line of "Validity checks".

    Attributes
    ----------
    id : str
        Stable, such as ``"image_border"``.
    status : {"pass", "warn", "not_assessed"}
        Not assessed: the data that it needs is not there.
    message : str
        What was found.
    recommendation : str
        What to run or do about it; empty where there is nothing to do.
    """

    id: str
    status: Status
    message: str
    recommendation: str = ""

    @property
    def title(self) -> str:
        """The id in words."""
        return self.id.replace("_", " ")

    @property
    def warns(self) -> bool:
        """Whether the check found a problem."""
        return self.status == WARN

    def __str__(self) -> str:
        """Return status, title and message in a line."""
        status = "n/a" if self.status == NOT_ASSESSED else self.status
        return f"{status:<4}  {self.title:<18}  {self.message}"


@dataclass(frozen=True)
class Run:
    """What the checks look at.

    Attributes
    ----------
    extractor : FeatureExtractor
    evaluated : EvaluatedHead
    metrics : dict of str to Metric
        As `detector.audit.metrics.compute_metrics` returns them.
    recipe : TutorialRecipe or ProbeRecipe
    groups : ndarray of shape (n,)
        What the split kept whole.
    implausible : sequence of ImplausibleImage
        Those that may be no frontal chest radiographs.
    command : str
        The run's command line, to which advised flags are added.
    audit : str
        Command line of an audit of the same data set by the same recipe.
    """

    extractor: FeatureExtractor
    evaluated: EvaluatedHead
    metrics: dict[str, Metric]
    recipe: Recipe
    groups: np.ndarray
    implausible: Sequence[ImplausibleImage]
    command: str = "python train_covid19.py -d DIR"
    audit: str = "python audit_covid19.py -d DIR"


CHANCE = 0.5
KNOWN = 0.5  # share of a class's images whose view or age has to be known: few images do not represent the rest
CHILDREN_APART = 0.5  # difference between the classes' shares of children
VIEWS_APART = 0.25  # difference between the classes' shares of AP images
AUDIT = "{audit}"  # in advice, stands for the command that audits the same data set
WITH_CONTROLS = f"{AUDIT} --controls DIR, with images of the same site without the disease"


def audit_for(run: Run) -> str:
    """Return how an audit is run: with controls of the same site, unless all classes come from the same sites."""
    images = run.extractor.dataset.images
    sites = [{image.site for image in images if image.label == name} for name in run.extractor.dataset.classes]
    return AUDIT if all(one == sites[0] != {""} for one in sites) else WITH_CONTROLS


def baseline_check(name: str, area: Metric, without: str, recommendation: str) -> Check:
    """Return the check of a baseline.

    It warns where the baseline predicts the class and that is no chance, and passes where its interval lies below the
    level at which it would warn. An interval that reaches that level shows neither.
    """
    if not area.available:
        return Check(name, NOT_ASSESSED, area.reason)
    found = f"ROC AUC {area.short} {without}"
    if area.point >= SUSPICIOUS and area.low > CHANCE:
        return Check(name, WARN, found, recommendation)
    if area.high >= SUSPICIOUS:
        too_wide = f"{found}: the interval reaches {SUSPICIOUS}, where this check warns"
        return Check(name, NOT_ASSESSED, too_wide, "Add images of other patients.")
    return Check(name, PASS, found)


def site_and_view(run: Run) -> Check:
    """Check whether the site and view of an image predict its class."""
    images = run.extractor.dataset.images
    unknown = sum(not image.site for image in images)
    if unknown and not run.metrics[METADATA].available:
        return Check(
            "site_and_view",
            NOT_ASSESSED,
            f"the site of {unknown} of {len(images)} images is not known",
            "Build the data set with build_covid_dataset.py, or add the column site to manifest.csv.",
        )
    sites: dict[str, set[str]] = defaultdict(set)
    for image in images:
        sites[image.label] |= {image.site} - {""}
    labels = list(sites.values())
    if all(not one & other for i, one in enumerate(labels) for other in labels[:i]):
        away = "no site has images of two classes: the site predicts the class"
        return Check("site_and_view", WARN, away, f"Run {WITH_CONTROLS}.")
    views_unknown = sum(not image.view for image in images)
    known = [
        f"{len(images) - missing} of {len(images)} {what} known"
        for what, missing in (("sites", unknown), ("views", views_unknown))
        if missing
    ]
    without = ", ".join(["without the image", *known])
    return baseline_check("site_and_view", run.metrics[METADATA], without, f"Run {WITH_CONTROLS}.")


def image_content(run: Run) -> Check:
    """Check whether the images can be frontal chest radiographs, by their lungs, colour and view."""
    found = run.implausible
    total = len(run.extractor.properties) + sum(one.left_out for one in found)
    if not found:
        return Check("image_content", PASS, f"{total} images with two lungs, none in colour")
    advice = "" if all(one.left_out for one in found) else "Look at them; remove what is no frontal chest radiograph."
    return Check("image_content", WARN, dataset.implausible_line(found, total), advice)


def views(run: Run) -> Check:
    """Check whether one class was examined lying in bed (AP) and the other standing (PA)."""
    images, classes = run.extractor.dataset.images, run.extractor.dataset.classes
    counts = {name: Counter(one.view for one in images if one.label == name) for name in classes}
    unknown = "unknown"
    listing = "; ".join(
        f"{name} {', '.join(f'{n} {view or unknown}' for view, n in sorted(found.items()))}"
        for name, found in counts.items()
    )
    shares = {
        name: found["AP"] / (found["AP"] + found["PA"])
        for name, found in counts.items()
        if found["AP"] + found["PA"] >= KNOWN * found.total() > 0
    }
    if len(shares) < len(classes):
        missing = " and ".join(name for name in classes if name not in shares)
        return Check("views", NOT_ASSESSED, f"the view (AP, PA) of most images of {missing} is not known")
    if max(shares.values()) - min(shares.values()) > VIEWS_APART:
        return Check(
            "views", WARN, listing, "Build with --view PA, or fit within views: --recipe probe --adjust strata."
        )
    return Check("views", PASS, listing)


def file_properties(run: Run) -> Check:
    """Check whether trivial properties of the files separate the classes."""
    without = "from size, shape, format, colour and brightness"
    return baseline_check("file_properties", run.metrics[FILES], without, f"Run {audit_for(run)}.")


def image_border(run: Run) -> Check:
    """Check whether the outer 10 % of the images separate the classes, where no lung is."""
    adjusted = "Read the border-adjusted ROC AUC instead of the ROC AUC."
    advice = adjusted if run.metrics[BORDER_ADJUSTED].available else f"Run {audit_for(run)}."
    return baseline_check("image_border", run.metrics[BORDER], "from the outer 10 %", advice)


def border_adjusted(run: Run) -> Check:
    """Check whether the classes are still separated among images whose borders are similar."""
    return border_adjusted_check(run.metrics[BORDER_ADJUSTED], run.evaluated.evaluation.roc_auc, audit_for(run))


def border_adjusted_check(adjusted: Metric, whole: Metric, audit: str) -> Check:
    """Return the check of the border-adjusted ROC AUC.

    It passes where that is above chance, and warns where it is not though it is clearly lower than the full one. Where
    its interval holds both, so few images show neither.
    """
    name = "border_adjusted"
    if not adjusted.available:
        return Check(name, NOT_ASSESSED, adjusted.reason)
    found = f"ROC AUC {adjusted.short} among images with similar borders"
    if adjusted.low > CHANCE:
        return Check(name, PASS, found)
    if whole.available and adjusted.high < max(whole.point, CHANCE):
        return Check(name, WARN, f"{found}, {whole.value_text} among all", f"Run {audit}.")
    return Check(
        name, NOT_ASSESSED, f"{found}: too few images to distinguish it from chance or from that of all images"
    )


def in_two_classes(dataset: Dataset, near_duplicates: Mapping[tuple[int, int], Copy]) -> list[str]:
    """Return the pairs of near duplicates, by their files, that two classes hold.

    Parameters
    ----------
    dataset : Dataset
    near_duplicates : mapping of (int, int) to Copy
        As `training.near_duplicates.find_near_duplicates` returns them.
    """
    pairs = [tuple(dataset.images[i] for i in pair) for pair in near_duplicates]
    return [
        with_change(f"{one.file} = {other.file}", copy)
        for (one, other), copy in zip(pairs, near_duplicates.values(), strict=True)
        if one.label != other.label
    ]


def duplicates(run: Run) -> Check:
    """Check whether test images are, exactly or nearly, among the training images.

    Images of one group are always on one side; in a cross-validation, where each image is on both in turn, any pair of
    different groups is across some split.
    """
    extractor, groups = run.extractor, run.groups
    train, held_out = run.evaluated.train, run.evaluated.held_out
    trained_on: dict[str, list[int]] = defaultdict(list)
    for row in train:
        trained_on[extractor.properties[row].digest].append(int(row))
    same = [(int(row), twin) for row in held_out for twin in trained_on[extractor.properties[row].digest]]
    trains, tests = (np.isin(np.arange(len(groups)), side) for side in (train, held_out))
    near_duplicates = [
        (i, j) for i, j in extractor.near_duplicates if (tests[i] and trains[j]) or (tests[j] and trains[i])
    ]
    exact, near = (
        {tuple(sorted(pair)) for pair in pairs if groups[pair[0]] != groups[pair[1]]}
        for pairs in (same, near_duplicates)
    )
    near -= exact
    if contrary := in_two_classes(extractor.dataset, extractor.near_duplicates):
        return Check(
            "duplicates",
            WARN,
            f"{counted(len(contrary), 'radiograph')} in two classes: {first_names(contrary)}",
            "One of the two labels is wrong: remove that copy.",
        )
    if not exact and not near:
        return Check("duplicates", PASS, f"none across the split; {NOT_SEARCHED}")
    files = [" = ".join(extractor.dataset.images[i].file for i in pair) for pair in sorted(exact)]
    for (i, j), copy in sorted(extractor.near_duplicates.items()):
        if (i, j) in near:
            files.append(with_change(" = ".join(extractor.dataset.images[k].file for k in (i, j)), copy))
    shown = "; ".join(files[:3]) + (f"; and {len(files) - 3} more" if len(files) > 3 else "")
    return Check(
        "duplicates",
        WARN,
        f"{len(exact)} exact and {len(near)} near duplicates across the split: {shown}",
        "Remove one of each pair, or use --split patient, which keeps most near duplicates on one side.",
    )


def age_groups(run: Run) -> Check:
    """Check whether children are compared with adults."""
    shares: dict[str, float] = {}
    images, classes = run.extractor.dataset.images, run.extractor.dataset.classes
    for name in classes:
        ages = [_is_child(image.source, image.row.get("age", "")) for image in images if image.label == name]
        known = [age for age in ages if age is not None]
        if known and len(known) >= KNOWN * len(ages):
            shares[name] = sum(known) / len(known)
    if len(shares) < len(classes):
        missing = " and ".join(name for name in classes if name not in shares)
        return Check("age_groups", NOT_ASSESSED, f"the age of most images of {missing} is not known")
    listing = ", ".join(f"children are {share:.0%} of {name}" for name, share in shares.items())
    if max(shares.values()) - min(shares.values()) > CHILDREN_APART:
        return Check("age_groups", WARN, listing, "Use adults of the positives' site as the other class.")
    return Check("age_groups", PASS, listing)


def _is_child(source_name: str, age: str) -> bool | None:
    if source_name == kermany.SOURCE:
        return True  # patients of one to five years, Guangzhou Women and Children's Medical Center
    known = years(age)
    return None if known is None else known < ADULT


# From here on, predicting the larger class always is right three times in four.
IMBALANCED = 3.0
WIDE = 0.1  # width of an interval of the accuracy from which a difference of a tenth may be chance
CHANCE = 0.5
LEAST_OFF = 0.1  # log odds by which probabilities are wrong on average: 2.5 percentage points at 50 %
FOLDS = 5  # that are recommended, at most


def _more_images(run: Run) -> str:
    """Return how more images can be tested: all of them, where only some were and folds are possible, or others."""
    labels = run.extractor.dataset.labels
    fewest = min(len(set(run.groups[labels == label])) for label in range(len(run.extractor.dataset.classes)))
    if len(run.evaluated.held_out) == len(labels) or fewest < 2:
        return "Add images of other patients."
    folds = min(FOLDS, fewest)
    return f"Evaluate every image: {run.command} --folds {folds} --repeats 5, or add images of other patients."


def _or_probe(run: Run) -> str:
    return "" if isinstance(run.recipe, ProbeRecipe) else ", or use --recipe probe"


def test_set_size(run: Run) -> Check:
    """Check how precise a result of so few images can be."""
    accuracy = run.evaluated.evaluation.accuracy
    if not accuracy.available:
        return Check("test_set_size", NOT_ASSESSED, accuracy.reason)
    images, patients = len(run.evaluated.held_out), accuracy.n_patients
    found = f"accuracy {accuracy.interval_text} with {counted(images, 'image')} of {counted(patients, 'patient')}"
    if accuracy.high - accuracy.low <= WIDE:
        return Check("test_set_size", PASS, found)
    return Check("test_set_size", WARN, found, _more_images(run))


def chance(run: Run) -> Check:
    """Check whether the model separates the classes at all, and in the right direction."""
    area = run.evaluated.evaluation.roc_auc
    if not area.available:
        return Check("chance", NOT_ASSESSED, area.reason, _more_images(run))
    if area.high < CHANCE:
        return Check(
            "chance", WARN, f"ROC AUC {area.short}: worse than chance", "Check whether the classes' labels are swapped."
        )
    if area.low <= CHANCE:
        return Check("chance", WARN, f"ROC AUC {area.short}: not shown to be better than chance", _more_images(run))
    return Check("chance", PASS, f"ROC AUC {area.short}")


def class_balance(run: Run) -> Check:
    """Check whether the accuracy exceeds that of predicting the largest class always."""
    evaluation, counts = run.evaluated.evaluation, run.evaluated.evaluation.confusion.sum(axis=1)
    largest, share = evaluation.classes[int(counts.argmax())], counts.max() / counts.sum()
    listing = ", ".join(f"{n} {name}" for name, n in zip(evaluation.classes, counts, strict=True))
    if counts.max() < IMBALANCED * max(counts.min(), 1):
        return Check("class_balance", PASS, listing)
    message = f"{listing}: predicting {largest} always is right in {share:.2f}"
    if evaluation.accuracy.low > share:
        return Check("class_balance", PASS, message)
    return Check("class_balance", WARN, message, "Read sensitivity and specificity instead of the accuracy.")


def calibration(run: Run) -> Check:
    """Check whether predicted probabilities are calibrated."""
    in_the_large, slope = run.metrics[IN_THE_LARGE], run.metrics[SLOPE]
    if not in_the_large.available:
        return Check("calibration", NOT_ASSESSED, in_the_large.reason)
    found = f"slope {slope.short}, in the large {in_the_large.short}"
    off = [
        words
        for words, wrong in (
            ("reversed", slope.available and slope.high < 0),
            ("overconfident", slope.available and 0 <= slope.high < 1),
            ("underconfident", slope.available and slope.low > 1),
            ("too low on average", in_the_large.low > 0 and in_the_large.point >= LEAST_OFF),
            ("too high on average", in_the_large.high < 0 and in_the_large.point <= -LEAST_OFF),
        )
        if wrong
    ]
    if off:
        return Check(
            "calibration",
            WARN,
            f"{found}: probabilities are {' and '.join(off)}",
            "Do not interpret probabilities as risks.",
        )
    # A slope without a bound says nothing of overconfidence, nor does an interval that holds both no relation (0) and
    # the ideal (1).
    if not slope.available or slope.low <= 0:
        return Check("calibration", NOT_ASSESSED, found)
    return Check("calibration", PASS, found)


def pooling(run: Run) -> Check:
    """Check whether the head reads the whole image: the tutorial's pooling reads the upper left of it."""
    if run.recipe.pooling != "tutorial":
        read = "lungs" if run.recipe.pooling == "lungs" else "whole image"
        return Check("pooling", PASS, f"the pooling covers the {read}")
    return Check(
        "pooling",
        WARN,
        "the tutorial's pooling sees the upper left third of the image (4 × 4 of 7 × 7 cells)",
        f"Read the whole image: {run.command} --pooling global{_or_probe(run)}.",
    )


CHECKS: Sequence[Callable[[Run], Check]] = (
    test_set_size,
    chance,
    image_content,
    site_and_view,
    views,
    file_properties,
    image_border,
    border_adjusted,
    duplicates,
    age_groups,
    class_balance,
    calibration,
    pooling,
)


def run_checks(run: Run) -> list[Check]:
    """Return what every check finds in a run, in the order of `CHECKS`; commands in it are whole."""
    found = [check(run) for check in CHECKS]
    return [replace(check, recommendation=check.recommendation.replace(AUDIT, run.audit)) for check in found]


def audit_flags(folder: Path, recipe: Recipe) -> list[str]:
    """Return the arguments with which a data set is audited by the recipe of a training run."""
    flags = ["-d", str(folder)]
    if recipe.name == ProbeRecipe.name:
        flags += ["--recipe", recipe.name]
    return flags if recipe.pooling == type(recipe).pooling else [*flags, "--pooling", recipe.pooling]


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Return checks that warn before those that were not assessed before those that pass."""
    return sorted(checks, key=lambda check: (WARN, NOT_ASSESSED, PASS).index(check.status))
