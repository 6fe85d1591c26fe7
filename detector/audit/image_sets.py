"""The images of an audit: the data set's own, controls and external ones, in one list, without what proves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from detector import InputError, first_names
from detector.datasets.dataset import MOST_NAMES, Dataset, Image, boxes_of, class_named, load, load_folder
from detector.datasets.identity import describe_overlap, find_overlap
from detector.images.duplicates import Copy
from detector.images.inspect import ImageProperties
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.raster import joined
from detector.network.model_file import shortened
from detector.training.dataset import (
    FeatureExtractor,
    ImplausibleImage,
    find_implausible,
    implausible_line,
    require_every_class,
)
from detector.training.recipes import Recipe

CONTROLS = "controls"  # their class; no class of the data set may have this name


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
        kept = {name: keep(rows, name) for name, rows in {"": self.controls, **self.external}.items()}
        notes = {name: joined(self.notes.get(name, ""), why) for name, (_, why) in kept.items()}
        left = {name: rows for name, (rows, _) in kept.items()}
        return replace(self, controls=left.pop(""), external=left, notes=notes)


def load_image_sets(
    folder: Path,
    controls: Path | None,
    external: Sequence[Path],
    positive: str,
    patient_from: re.Pattern[str] | None = None,
) -> ImageSets:
    """List the images of an audit: of the data set, of controls, and of class folders from elsewhere."""
    own = load(folder, patient_from)
    for image in own.images:
        boxes_of(image)  # rejected before anything is computed
    positive = class_named(own.classes, positive, folder)
    if CONTROLS in own.classes:
        raise InputError(f"data set {folder} has a class named {CONTROLS}; rename it, or give it with --controls")
    others = [replace(image, label=CONTROLS) for image in load_folder(controls, patient_from)] if controls else []
    elsewhere: dict[str, Sequence[Image]] = {}
    notes = [*own.notes]
    for given in external:
        found = load(given, patient_from, "--external")
        if positive not in found.classes:
            there = first_names(found.classes, MOST_NAMES)
            raise InputError(f"--external {given} has the classes {there}; {positive} must be among them")
        if str(given) in elsewhere:
            raise InputError(f"--external {given} is given twice")
        notes += found.notes
        elsewhere[str(given)] = found.images
    parts = [own.images, others, *elsewhere.values()]
    bounds = np.cumsum([0, *map(len, parts)])
    rows = [np.arange(start, stop) for start, stop in pairwise(bounds)]
    everything = Dataset([image for part in parts for image in part], own.classes, notes, own.name)
    return ImageSets(everything, rows[0], rows[1], dict(zip(elsewhere, rows[2:], strict=True)), positive)


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


def without_overlap(
    sets: ImageSets,
    properties: Sequence[ImageProperties],
    near_duplicates: Mapping[tuple[int, int], Copy],
    trained: Sequence[str] = (),
) -> ImageSets:
    """Leave out controls that are in the data set, and external images that are there or were trained on.

    Phantoms resemble each other more than people do: of two phantoms, only the same file counts. Near duplicates are
    paired with the first of their group, which is of the data set if any of the group is. `trained` are digests of the
    saved model's training images, which the files of external images are compared with, too.
    """
    images = sets.dataset.images
    own = [images[row] for row in sets.own]
    digests = {shortened(properties[row].digest) for row in sets.own}
    mine = set(sets.own.tolist())
    copies = {one: copy for pair, copy in near_duplicates.items() for one, other in (pair, pair[::-1]) if other in mine}

    def keep(rows: np.ndarray, external: str) -> tuple[np.ndarray, str]:
        given = [images[row] for row in rows]
        files = [shortened(properties[row].digest) for row in rows]
        changes = {i: str(copies[row]) for i, row in enumerate(rows) if row in copies and images[row].source != PHANTOM}
        found = find_overlap(given, files, own, digests | set(trained if external else ()), changes)
        left = np.array([row for i, row in enumerate(rows) if i not in found], int)
        note = describe_overlap(found, given, changes, "the training set" if external else "the data set")
        return left, f"left out, since they would make this result invalid: {note}" if note else ""

    return sets.filtered(keep)


def notes(sets: ImageSets) -> list[str]:
    """Return a sentence for each folder that holds images which were left out."""
    return [f"{f'--external {name}' if name else '--controls'}: {note}" for name, note in sets.notes.items() if note]
