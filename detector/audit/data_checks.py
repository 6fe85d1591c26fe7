"""Checks of the data: does something predict the class that is not the disease?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from detector import counted, first_names
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check, Run
from detector.audit.linear_baseline import SUSPICIOUS
from detector.audit.metrics import BORDER, BORDER_ADJUSTED, FILES, METADATA
from detector.collections import kermany
from detector.datasets.dataset import Dataset
from detector.files.values import ADULT, years
from detector.images.duplicates import Copy, with_change
from detector.statistics.metric import Metric
from detector.training import dataset

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
        return Check("duplicates", PASS, "none across the split")
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
