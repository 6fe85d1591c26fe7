"""Images and patients of each class, site and view, and what a comparison of the classes can show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import counted
from detector.cli.output import Log
from detector.datasets import manifest
from detector.datasets.dataset import Image
from detector.files.values import view_group
from detector.statistics.strata import holding_two_classes

MOST_ROWS = 40  # of the table: the rest is counted in one


@dataclass(frozen=True)
class OverviewImage:
    """What the table needs of an image; `site` and `view` are empty where they are not known."""

    label: str
    site: str
    view: str
    patient: str


def of_images(images: Iterable[Image]) -> list[OverviewImage]:
    """Return what the table needs of a data set."""
    return [OverviewImage(i.label, i.site, i.view, i.patient or i.file) for i in images]


def of_manifests(folders: Iterable[Path]) -> list[OverviewImage]:
    """Return what the manifests of class folders list; a class is its folder's name."""
    return [
        OverviewImage(
            row["label"] or folder.name,
            row["site"] or row["source"],
            view_group(row["view"]),
            f"{row['source']}/{row['patient'] or row['file']}",
        )
        for folder in folders
        for row in manifest.read(folder).values()
    ]


def rows(entries: Sequence[OverviewImage]) -> list[tuple[str, ...]]:
    """Return images and patients of each class, site and view, below a heading."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry in entries:
        groups[entry.label, entry.site or "unknown site", entry.view or "unknown view"].append(entry.patient)
    found = [("class", "site", "view", "images", "patients")]
    return [*found, *((*key, str(len(who)), str(len(set(who)))) for key, who in sorted(groups.items()))]


def table(entries: Sequence[OverviewImage]) -> list[str]:
    """Return the rows as lines for people."""
    found = rows(entries)
    wide = [max(map(len, column)) for column in zip(*found, strict=True)]
    lines = []
    for row in found:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], wide, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[3:], wide[3:], strict=True)]
        lines.append("  ".join(cells))
    if (more := len(found) - 1 - MOST_ROWS) > 1:
        lines[MOST_ROWS + 1 :] = [f"and {more} rows more"]
    return lines


def report(log: Log, entries: Sequence[OverviewImage]) -> None:
    """Print the table, and what it means."""
    for line in (*table(entries), meaning(entries)):
        log.info(line)


def meaning(entries: Sequence[OverviewImage]) -> str:
    """Say in a sentence what a comparison of these classes can show, and what not."""
    labels = np.array([entry.label for entry in entries])
    strata = np.array([f"{entry.site}, {entry.view or 'unknown view'}" if entry.site else "" for entry in entries])
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
    number, rest = len(set(strata[kept])), len(entries) - int(kept.sum())
    if not rest and number == 1:
        return f"All {len(entries)} images share one site and view, so the site cannot explain a difference."
    what = "1 stratum (site and view) contains" if number == 1 else f"{number} strata (site and view) contain"
    others = f"; the other {counted(rest, 'image')} can show the site only" if rest else ""
    return f"{what} both classes, {counted(int(kept.sum()), 'image')}: there the disease can be compared{others}."
