"""Images and patients of each class, site and view, and what a comparison of the classes can show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from detector import counted
from detector.cli.output import Log, say
from detector.datasets import manifest
from detector.datasets.dataset import Image
from detector.statistics.strata import holding_two_classes

MOST_ROWS = 40  # of the table: the rest is counted in one


def of_manifests(folders: Iterable[Path]) -> list[Image]:
    """Return the images that the manifests of class folders list."""
    return [
        Image(
            folder / name,
            f"{folder.name}/{name}",
            row["label"] or folder.name,
            f"{row['source']}/{row['patient']}" if row["patient"] else None,
            row["source"],
            row["site"] or row["source"],
            row,
        )
        for folder in folders
        for name, row in manifest.read(folder).items()
    ]


def rows(images: Iterable[Image]) -> list[tuple[str, ...]]:
    """Return images and patients of each class, site and view, below a heading."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for image in images:
        groups[image.label, image.site or "unknown site", image.view or "unknown view"].append(
            image.patient or image.file
        )
    found = [("class", "site", "view", "images", "patients")]
    return [*found, *((*key, str(len(who)), str(len(set(who)))) for key, who in sorted(groups.items()))]


def table(images: Iterable[Image]) -> list[str]:
    """Return the rows as lines for people."""
    found = rows(images)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    sides = [f"{side}{width}" for side, width in zip("<<<>>", widths, strict=True)]
    lines = ["  ".join(map(format, row, sides)) for row in found]
    if (more := len(found) - 1 - MOST_ROWS) > 1:
        lines[MOST_ROWS + 1 :] = [f"and {more} rows more"]
    return lines


def report(log: Log, images: Sequence[Image]) -> None:
    """Print the table, and what it means."""
    for line in () if log.quiet else table(images):
        say(f"[INFO] {line}")
    log.info(meaning(images))


def meaning(images: Sequence[Image]) -> str:
    """Say in a sentence what a comparison of these classes can show, and what not."""
    labels, strata = np.array([(image.label, image.stratum) for image in images]).T
    classes, known = sorted(set(labels)), set(labels[strata != ""])
    if len(classes) < 2:
        return f"One class so far ({', '.join(classes)}); add another class to compare it with."
    kept = holding_two_classes(labels, strata)
    if not kept.any() and (unknown := [label for label in classes if label not in known]):
        return f"The site of {', '.join(unknown)} is not known: no metric can separate the disease from the site."
    if not kept.any():
        return (
            "No site and view contains both classes: class and site are confounded, and no metric of this comparison "
            "can show the disease. Add controls of the same site (build_covid_dataset.py --controls-output)."
        )
    number, rest = len(set(strata[kept])), len(images) - int(kept.sum())
    if not rest and number == 1:
        return f"All {len(images)} images share one site and view, so the site cannot explain a difference."
    what = "1 stratum (site and view) contains" if number == 1 else f"{number} strata (site and view) contain"
    others = f"; the other {counted(rest, 'image')} can show the site only" if rest else ""
    return f"{what} both classes, {counted(int(kept.sum()), 'image')}: there the disease can be compared{others}."
