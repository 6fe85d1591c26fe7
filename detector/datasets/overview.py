"""What a data set is made of, class × site × view, and what a comparison of its classes can show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.collections.views import view_group
from detector.command_line import Log
from detector.datasets import manifest
from detector.datasets.dataset import Image
from detector.statistics.strata import holding_two_classes

MOST_ROWS = 40  # of the table: the rest is counted in one


@dataclass(frozen=True)
class Film:
    """What the table needs to know of an image; `site` and `view` are empty where they are not known."""

    label: str
    site: str
    view: str
    patient: str


def of_images(images: Iterable[Image]) -> list[Film]:
    """Return the films of a data set."""
    return [Film(i.label, i.site, i.view, i.patient or i.file) for i in images]


def of_manifests(folders: Iterable[Path]) -> list[Film]:
    """Return the films that the manifests of class folders list; a class is its folder's name."""
    return [
        Film(
            folder.name,
            row["site"] or row["source"],
            view_group(row["view"]),
            f"{row['source']}/{row['patient'] or row['file']}",
        )
        for folder in folders
        for row in manifest.read(folder).values()
    ]


def siblings(folder: Path) -> list[Path]:
    """Return the class folders with a manifest that lie beside a class folder, itself among them."""
    return sorted(inner for inner in folder.resolve().parent.iterdir() if (inner / manifest.NAME).is_file())


def rows(films: Sequence[Film]) -> list[tuple[str, ...]]:
    """Return images and patients of each class, site and view, below a heading."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for film in films:
        groups[film.label, film.site or "unknown site", film.view or "unknown view"].append(film.patient)
    found = [("class", "site", "view", "images", "patients")]
    return [*found, *((*key, str(len(who)), str(len(set(who)))) for key, who in sorted(groups.items()))]


def table(films: Sequence[Film]) -> list[str]:
    """Return the rows as lines for people."""
    found = rows(films)
    wide = [max(len(row[column]) for row in found) for column in range(5)]
    lines = []
    for row in found:
        sides = (*[str.ljust] * 3, *[str.rjust] * 2)
        cells = [side(cell, width) for side, cell, width in zip(sides, row, wide, strict=True)]
        lines.append("  ".join(cells))
    if (more := len(found) - 1 - MOST_ROWS) > 1:
        lines[MOST_ROWS + 1 :] = [f"and {more} rows more"]
    return [line.rstrip() for line in lines]


def tell(log: Log, films: Sequence[Film]) -> None:
    """Print the table, and what it means."""
    for line in (*table(films), meaning(films)):
        log.info(line)


def meaning(films: Sequence[Film]) -> str:
    """Say in a sentence what a comparison of these classes can show, and what not."""
    classes = sorted({film.label for film in films})
    if len(classes) < 2:
        return f"One class so far ({', '.join(classes)}): there is nothing to compare it with yet."
    labels = np.array([film.label for film in films])
    strata = np.array([f"{film.site}, {film.view or 'unknown view'}" if film.site else "" for film in films])
    if not (strata != "").any():
        return "No site is known: whether a figure is the disease's or the source's, nothing can tell."
    kept = holding_two_classes(labels, strata)
    if not kept.any():
        return (
            "No site and view holds two classes: whatever tells the sources apart tells the classes, and no figure "
            "of this comparison can show the disease. Add controls of the same source."
        )
    rest = len(films) - int(kept.sum())
    others = f"; the other {rest} images can teach the source only" if rest else ""
    number = len(set(strata[kept]))
    where = "One site and view holds" if number == 1 else f"{number} pairs of site and view hold"
    return (
        f"{where} two classes, {kept.sum()} images: within {'it' if number == 1 else 'these'} the disease can be "
        f"compared (--recipe probe, auc within source){others}."
    )
