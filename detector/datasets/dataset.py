"""Class folders and their manifests → images with labels, patients and sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.collections import kermany
from detector.collections.views import view_group
from detector.datasets import manifest
from detector.images import phantom
from detector.images.inspection import first_names
from detector.images.radiographs import SUFFIXES, find


@dataclass(frozen=True)
class Image:
    """An image file of a data set.

    Attributes
    ----------
    path : Path
    file : str
        Its name relative to the data set, with forward slashes on every system.
    label : str
        The name of the folder that holds it.
    patient : str or None
        The patient, told apart from other sources' patients; None where nothing tells.
    source : str
        The collection it comes from; empty where nothing tells.
    site : str
        Where it was made or published: the manifest's column ``site``, or the source.
    row : dict
        Its row of the manifest; empty where there is none.
    """

    path: Path
    file: str
    label: str
    patient: str | None
    source: str
    site: str
    row: dict[str, str]

    @property
    def view(self) -> str:
        """Its projection: ``"PA"``, ``"AP"``, ``"lateral"``, what the manifest says else, or empty."""
        return view_group(self.row.get("view", ""))

    @property
    def stratum(self) -> str:
        """Its site and view, within which images can be compared; empty where the site is not known."""
        return f"{self.site}, {self.view or 'unknown view'}" if self.site else ""


@dataclass(frozen=True)
class Dataset:
    """Images in a fixed order, whatever order the file system lists them in.

    Attributes
    ----------
    images : sequence of Image
    classes : list of str
        Sorted.
    """

    images: Sequence[Image]
    classes: list[str]

    @property
    def labels(self) -> np.ndarray:
        """Class indices, shape (n,), int."""
        return np.array([self.classes.index(image.label) for image in self.images])

    def counts(self) -> dict[str, int]:
        """Return the number of images of each class."""
        return {name: sum(image.label == name for image in self.images) for name in self.classes}


def load(folder: Path) -> Dataset:
    """List the images of a data set, without reading them.

    Parameters
    ----------
    folder : Path
        Holds a folder for each class; an image's class is the folder that holds it.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there is no such folder, too few classes, images outside of class folders, or a manifest that cannot be read;
        or if phantoms and real radiographs are mixed.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"data set {folder} {what}; give a folder that holds a folder of images for each class")
    images = [image for inner in sorted(folder.iterdir()) for image in _images(folder, inner)]
    stray = [image.file for image in images if "/" not in image.file]
    if stray:
        raise InputError(
            f"data set {folder} holds {first_names(stray)} outside of its class folders; move them into one"
        )
    classes = sorted({image.label for image in images})
    if not images:
        raise InputError(f"data set {folder} holds no images; build it first, as the README says")
    if len(classes) < 2:
        raise InputError(f"data set {folder} has one class only, {classes[0]}; a detector needs two folders of images")
    synthetic = [image.source == phantom.SOURCE for image in images]
    if any(synthetic) and not all(synthetic):
        real = [image.file for image, drawn in zip(images, synthetic, strict=True) if not drawn]
        raise InputError(
            f"data set {folder} mixes {sum(synthetic)} phantoms with radiographs that are none ({first_names(real)}); "
            "keep them in data sets of their own"
        )
    return Dataset(images, classes)


def load_folder(folder: Path) -> list[Image]:
    """List the images of one folder, whatever folders within it hold them, without reading them.

    Raises
    ------
    InputError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    images = _images(folder.parent, folder)
    if not images:
        raise InputError(f"{folder} holds no images")
    return images


def _images(folder: Path, inner: Path) -> list[Image]:
    """List the images of one entry of the data set's folder.

    A class folder may be a link to a folder elsewhere, which a walk from the data set down would not enter.
    """
    if inner.name.startswith(".") or inner.name == "__MACOSX":
        return []
    paths = find(inner) if inner.is_dir() else [inner] if inner.suffix.lower() in SUFFIXES else []
    rows = {parent: manifest.read(parent) for parent in {path.parent for path in paths}}
    return [_image(folder, path, rows[path.parent].get(path.name, {})) for path in paths]


def _image(folder: Path, path: Path, row: dict[str, str]) -> Image:
    patient, source = None, row.get("source", "")
    if row.get("patient"):
        patient = f"{source}/{row['patient']}"
    elif told := kermany.patient(path.name):
        # A name of this pattern is the collection's own.
        patient, source = f"{kermany.SOURCE}/{told}", source or kermany.SOURCE
    site = row.get("site", "") or source
    return Image(path, path.relative_to(folder).as_posix(), path.parent.name, patient, source, site, row)


def patients(
    images: Sequence[Image], digests: Sequence[str], near_duplicates: Sequence[tuple[int, int]] = ()
) -> np.ndarray:
    """Return which patient each image is of, as far as can be told.

    An image whose patient nothing tells counts as a patient of its own. Patients that share an image, byte for byte or
    nearly, are one person under two numbers.

    Parameters
    ----------
    images : sequence of Image
    digests : sequence of str
        SHA-256 of each.
    near_duplicates : sequence of (int, int)
        Pairs of images that show the same film.

    Returns
    -------
    ndarray of shape (n,), str
        Equal where the patient is the same.
    """
    groups = {}

    def root(name: str) -> str:
        while groups.setdefault(name, name) != name:
            name = groups[name]
        return name

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        groups[second] = first

    names = [image.patient or f"unknown/{image.file}" for image in images]
    by_digest: dict[str, str] = {}
    for name, digest in zip(names, digests, strict=True):
        join(name, by_digest.setdefault(digest, name))
    for first, second in near_duplicates:
        join(names[first], names[second])
    return np.array([root(name) for name in names])
