"""The images of an audit: the data set's own, controls and external ones, in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from detector import InputError
from detector.dataset import Dataset, Image, load, load_folder

CONTROLS = "controls"  # their class; no class of the data set may have this name


@dataclass(frozen=True)
class Parts:
    """A data set, its controls and external images in one list, so that they are read and computed in one go.

    Attributes
    ----------
    dataset : Dataset
        All images; its classes are those of the data set proper.
    own, controls, external : ndarray of int
        Which images are what.
    """

    dataset: Dataset
    own: np.ndarray
    controls: np.ndarray
    external: np.ndarray


def gather(folder: Path, controls: Path | None, external: Path | None, positive: str) -> Parts:
    """List the images of an audit.

    Parameters
    ----------
    folder : Path
        The data set.
    controls : Path or None
        Images of the positives' source without the disease.
    external : Path or None
        Class folders from elsewhere.
    positive : str

    Returns
    -------
    Parts

    Raises
    ------
    InputError
        If a folder holds no images, or classes that do not go together.
    """
    own = load(folder)
    if positive not in own.classes:
        raise InputError(f"--positive {positive} is no class of {folder}; it has {', '.join(own.classes)}")
    if CONTROLS in own.classes:
        raise InputError(f"data set {folder} has a class named {CONTROLS}; rename it, or give it with --controls")
    others = [replace(image, label=CONTROLS) for image in load_folder(controls)] if controls else []
    elsewhere: Sequence[Image] = []
    if external:
        found = load(external)
        unknown = sorted(set(found.classes) - set(own.classes))
        if unknown or positive not in found.classes:
            raise InputError(
                f"--external {external} has the classes {', '.join(found.classes)}; they must be of "
                f"{', '.join(own.classes)}, {positive} among them"
            )
        elsewhere = found.images
    bounds = np.cumsum([0, len(own.images), len(others), len(elsewhere)])
    rows = [np.arange(start, stop) for start, stop in pairwise(bounds)]
    return Parts(Dataset([*own.images, *others, *elsewhere], own.classes), *rows)
