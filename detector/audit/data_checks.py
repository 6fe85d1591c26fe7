"""Checks of the data: does something tell the classes that is not the disease?"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from detector.audit.check import Check, Run
from detector.audit.linear_baseline import linear_area, property_matrix
from detector.audit.metrics import BORDER
from detector.collections import kermany
from detector.statistics.roc import Area

TRAITS_AUC = 0.75
ADULT = 18.0  # years
CHILDREN_APART = 0.5  # difference between the classes' shares of children
VIEWS_APART = 0.25  # difference between the classes' shares of AP films


def source(run: Run) -> Check:
    """Tell whether the source of an image gives its class away."""
    sources: dict[str, set[str]] = defaultdict(set)
    for image in run.extractor.dataset.images:
        sources[image.label].add(image.source)
    listing = ", ".join(
        f"{name} from {' and '.join(sorted(s or 'an unknown source' for s in found))}"
        for name, found in sorted(sources.items())
    )
    told = [s for found in sources.values() for s in found]
    if "" in told:
        return Check(
            "source",
            f"Not every image's source is known ({listing}).",
            "If classes come from different collections, the collection alone can score 100 %.",
            "Build the data set with this suite's builders, which write it down.",
            True,
            {"sources": {name: sorted(found) for name, found in sources.items()}},
        )
    shared = len(set(told)) < len(told)
    return Check(
        "source",
        f"Class and source coincide: {listing}." if not shared else f"Classes share a source: {listing}.",
        "The source alone scores 100 %, whatever the disease." if not shared else "",
        "Run: audit_covid19.py with --controls, images of the same source without COVID-19." if not shared else "",
        not shared,
        {"sources": {name: sorted(found) for name, found in sources.items()}},
    )


def views(run: Run) -> Check:
    """Tell whether one class was taken lying in bed (AP) and the other standing (PA)."""
    images = run.extractor.dataset.images
    counts = {name: Counter(i.view for i in images if i.label == name) for name in run.extractor.dataset.classes}
    unknown = "of unknown view"
    listing = "; ".join(
        f"{name} {', '.join(f'{n} {view or unknown}' for view, n in sorted(found.items()))}"
        for name, found in counts.items()
    )
    known = [found for found in counts.values() if set(found) - {""}]
    shares = {
        name: found["AP"] / (found["AP"] + found["PA"]) for name, found in counts.items() if found.keys() & {"AP", "PA"}
    }
    apart = len(shares) > 1 and max(shares.values()) - min(shares.values()) > VIEWS_APART
    half_known = 0 < len(known) < len(counts)
    why, do = "", ""
    if apart:
        why = "A film of a patient in bed looks unlike one of a patient who stands: the view may be what is told."
        do = "Build with --view PA, or compare within views: --recipe probe --adjust strata."
    elif half_known:
        why = "A class whose view is not known may be of another one."
    return Check(
        "views", f"Views: {listing}.", why, do, apart, {"counts": {name: dict(found) for name, found in counts.items()}}
    )


def properties(run: Run) -> Check:
    """Tell whether trivial properties of the files separate the classes."""
    extractor = run.extractor
    truth = extractor.dataset.labels == run.positive
    area = linear_area(property_matrix(extractor.properties), truth, extractor.patients, run.seed)
    if area is None:
        return Check(
            "properties", "Too few patients to see whether trivial properties separate the classes.", "", "", False
        )
    alarming = area.value >= TRAITS_AUC and area.low > 0.5
    return Check(
        "properties",
        f"Size, shape, format, colour and brightness of the files alone reach AUC {area.value:.2f} "
        f"({area.low:.2f}-{area.high:.2f}).",
        "What separates files without a look at the chest, the network sees too." if alarming else "",
        "Run: audit_covid19.py." if alarming else "",
        alarming,
        {"auc": area},
    )


def border(run: Run) -> Check:
    """Tell whether the edge of the films separates the classes, where no lung is."""
    area = run.figures[BORDER]
    if not isinstance(area, Area):
        return Check(
            "border", "Too few patients to see whether the films' outer edge separates the classes.", "", "", False
        )
    alarming = area.value >= TRAITS_AUC and area.low > 0.5
    return Check(
        "border",
        f"The outer tenth of the films alone, where no lung is, reaches AUC {area.value:.2f} "
        f"({area.low:.2f}-{area.high:.2f}).",
        "Exposure, sharpness or borders tell the classes, and the network sees them in the lungs, too."
        if alarming
        else "",
        'Look at "auc among alike films" instead of "auc".' if alarming else "",
        alarming,
        {"auc": area},
    )


def duplicates(run: Run) -> Check:
    """Tell whether held-out images are, exactly or nearly, among the training images.

    Images of one group are always on one side; in a cross-validation, where each image is on both in turn, any pair of
    different groups is across some split.
    """
    extractor, groups = run.extractor, run.groups
    train, held_out = run.outcome.train, run.outcome.held_out
    trained_on: dict[str, list[int]] = defaultdict(list)
    for row in train:
        trained_on[extractor.properties[row].digest].append(int(row))
    same = [(int(row), twin) for row in held_out for twin in trained_on[extractor.properties[row].digest]]
    trains, tests = (np.isin(np.arange(len(groups)), side) for side in (train, held_out))
    alike = [(i, j) for i, j in extractor.alike if (tests[i] and trains[j]) or (tests[j] and trains[i])]
    exact, near = (
        {tuple(sorted(pair)) for pair in pairs if groups[pair[0]] != groups[pair[1]]} for pairs in (same, alike)
    )
    exact, near = sorted(exact), sorted(near - exact)
    files = [[extractor.dataset.images[i].file for i in pair] for pair in (exact + near)]
    if not files:
        return Check("duplicates", "No held-out image has an exact or near duplicate in training.", "", "", False)
    shown = "; ".join(" = ".join(pair) for pair in files[:3]) + ("; …" if len(files) > 3 else "")
    return Check(
        "duplicates",
        f"{len(exact)} exact and {len(near)} near duplicates across the split ({shown}).",
        "The answer to a held-out image was given in training.",
        "Remove one of each pair, or give both the same patient in manifest.csv.",
        True,
        {"exact": len(exact), "near": len(near), "files": files},
    )


def children(run: Run) -> Check | None:
    """Tell whether children are compared with adults, where manifests know; None where they do not."""
    shares: dict[str, float] = {}
    images = run.extractor.dataset.images
    for name in run.extractor.dataset.classes:
        ages = [_is_child(image.source, image.row.get("age", "")) for image in images if image.label == name]
        known = [age for age in ages if age is not None]
        if known:
            shares[name] = sum(known) / len(known)
    if len(shares) < 2:
        return None
    apart = max(shares.values()) - min(shares.values()) > CHILDREN_APART
    listing = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
    return Check(
        "children",
        f"Where age is known, children are {listing}.",
        "A child's chest looks unlike an adult's: age may be what is told apart." if apart else "",
        "Use adult normals of the positives' source." if apart else "",
        apart,
        {"share_of_children": shares},
    )


def _is_child(source_name: str, age: str) -> bool | None:
    if source_name == kermany.SOURCE:
        return True  # patients of one to five years, Guangzhou Women and Children's Medical Center
    try:
        return float(age) < ADULT
    except ValueError:
        return None
