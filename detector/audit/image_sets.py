"""The images of an audit: the data set's own, controls and external ones, in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from detector import InputError, first_names
from detector.datasets.dataset import Dataset, Image, boxes_of, load, load_folder
from detector.datasets.folders import MOST_NAMES, class_named

CONTROLS = "controls"  # their class; no class of the data set may have this name


@dataclass(frozen=True)
class ImageSets:
    """A data set, its controls and external images in one list, so that they are read and computed in one go.

    Attributes
    ----------
    dataset : Dataset
        All images; its classes are those of the data set proper.
    own, controls : ndarray of int
        Which images are what.
    external : dict of str to ndarray of int
        By the folder that was given.
    positive : str
        The positive class, as its folder spells it.
    controls_note : str
        What was left out of the controls, and why; mostly empty.
    external_notes : dict of str to str
        The same of external images, by folder.
    """

    dataset: Dataset
    own: np.ndarray
    controls: np.ndarray
    external: dict[str, np.ndarray]
    positive: str
    controls_note: str = ""
    external_notes: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of images in all sets."""
        return len(self.own) + len(self.controls) + sum(map(len, self.external.values()))


def load_image_sets(folder: Path, controls: Path | None, external: Sequence[Path], positive: str) -> ImageSets:
    """List the images of an audit.

    Parameters
    ----------
    folder : Path
        The data set.
    controls : Path or None
        Images of the positives' site without the disease.
    external : sequence of Path
        Class folders from elsewhere: the positive class and any other.
    positive : str

    Returns
    -------
    ImageSets

    Raises
    ------
    InputError
        If a folder holds no images, or classes that do not go together, or is given twice; if a manifest of the data
        set has boxes that are none.
    """
    own = load(folder)
    for image in own.images:
        boxes_of(image)  # rejected before anything is computed
    positive = class_named(own.classes, positive, folder)
    if CONTROLS in own.classes:
        raise InputError(f"data set {folder} has a class named {CONTROLS}; rename it, or give it with --controls")
    others = [replace(image, label=CONTROLS) for image in load_folder(controls)] if controls else []
    elsewhere: dict[str, Sequence[Image]] = {}
    notes = [*own.notes]
    for given in external:
        found = load(given)
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
