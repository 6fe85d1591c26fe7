"""Class folders and their manifests → images with labels, patients and sources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, first_names
from detector.collections.boxes import Box, from_cell
from detector.datasets import manifest
from detector.datasets.clinical import is_missing
from detector.datasets.folders import (
    class_of,
    notes_on,
    patient_of,
    require_classes,
    require_different_names,
    require_one_part,
    view_of,
)
from detector.datasets.manifest import Row
from detector.files.values import view_group
from detector.images import phantom
from detector.images.dicom_header import DicomHeader, read_if_readable
from detector.images.listing import Listing, is_dicom_file, list_images

FEWEST_WITH_PLACEHOLDER = 4  # images of one patient: fewer may well be
Rows = Sequence[int] | np.ndarray  # positions of images in a data set


@dataclass(frozen=True)
class Image:
    """An image file of a data set.

    Attributes
    ----------
    path : Path
    file : str
        Its name relative to the data set, with forward slashes on every system.
    label : str
        Its class: the innermost folder that is not one of files, patients or studies.
    patient : str or None
        From the manifest, the DICOM header (hashed), or the path; with the data set, since several data sets use the
        same numbers. None where it is not known.
    source : str
        The data set that it comes from; empty where it is not known.
    site : str
        The hospital or publisher that it comes from: the manifest's column ``site``, or the data set.
    row : dict
        Its row of the manifest, and what header and file name say of view, age and sex beside that.
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
    notes : sequence of str
        What to say of it, one line each: files left out, manifests that do not fit their folders.
    name : str
        Of its folder.
    """

    images: Sequence[Image]
    classes: list[str]
    notes: Sequence[str] = ()
    name: str = ""

    @property
    def labels(self) -> np.ndarray:
        """Class indices, shape (n,), int."""
        return np.array([self.classes.index(image.label) for image in self.images])

    def counts(self) -> dict[str, int]:
        """Return the number of images of each class."""
        return {name: sum(image.label == name for image in self.images) for name in self.classes}


def load(folder: Path) -> Dataset:
    """List the images of a data set; of DICOM files without a patient in a manifest, read the headers.

    Parameters
    ----------
    folder : Path
        Holds a folder for each class. Within it, folders of files, patients and studies are no classes.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there is no such folder, too few classes, images outside of class folders, or a manifest that cannot be read;
        if it holds the parts of a split data set; or if phantoms and real radiographs are mixed.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"data set {folder} {what}; give a folder that holds a folder of images for each class")
    listing = list_images(folder)
    if not listing.images:
        raise InputError(f"data set {folder} holds no images{_aside(listing)}; build it first, as the README says")
    require_one_part(folder, listing.images)
    require_classes(folder, listing.images)
    images, notes = _images(folder, listing)
    notes += notes_on(folder, listing.images)
    classes = sorted({image.label for image in images})
    if len(classes) < 2:
        raise InputError(
            f"data set {folder} has one class only, {', '.join(classes)}{_aside(listing)}; a classifier needs two "
            "folders of images"
        )
    require_different_names(classes, folder)
    synthetic = [image.source == phantom.SOURCE for image in images]
    if any(synthetic) and not all(synthetic):
        real = [image.file for image, drawn in zip(images, synthetic, strict=True) if not drawn]
        raise InputError(
            f"data set {folder} mixes {sum(synthetic)} phantoms with real radiographs ({first_names(real)}); "
            "keep them in data sets of their own"
        )
    images, note = _without_placeholder(images)
    return Dataset(images, classes, [*notes, note] if note else notes, folder.resolve().name)


def _without_placeholder(images: list[Image]) -> tuple[list[Image], str]:
    """Return images without their patient where all of several classes have the same one, which is nobody's; a note."""
    if len(images) < FEWEST_WITH_PLACEHOLDER or len({image.patient for image in images}) > 1 or not images[0].patient:
        return images, ""
    note = f"all {len(images)} images have the same patient identifier, so it identifies nobody; patients are not known"
    return [replace(image, patient=None) for image in images], note


def load_folder(folder: Path) -> list[Image]:
    """List the images of one folder, whatever folders within it hold them.

    Raises
    ------
    InputError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    listing = list_images(folder)
    if not listing.images:
        raise InputError(f"{folder} holds no images{_aside(listing)}")
    return _images(folder.parent, listing)[0]


def _aside(listing: Listing) -> str:
    return f" ({listing.note})" if listing.note else ""


def _images(folder: Path, listing: Listing) -> tuple[list[Image], list[str]]:
    """Return the images of a listing, and what to say of them: files left out, rows and files without each other."""
    by_folder: dict[Path, list[str]] = defaultdict(list)
    for path in listing.images:
        by_folder[path.parent].append(path.name)
    rows: dict[Path, dict[str, Row]] = {}
    notes: list[str] = []
    for inner, names in by_folder.items():
        if (inner / manifest.NAME).exists():
            found = manifest.match(manifest.read(inner), names)
            rows[inner] = found.rows
            notes += manifest.notes(inner.relative_to(folder).as_posix(), found)
    images = []
    for path in listing.images:
        row, header = rows.get(path.parent, {}).get(path.name, {}), DicomHeader()
        if is_missing(row.get("patient", "")) and is_dicom_file(path):
            header = read_if_readable(path)
        if header.is_radiograph:
            images.append(_image(folder, path, row, header))
        else:
            listing.left_out[header.left_out] += 1
    if listing.note:
        notes.insert(0, listing.note)
    return images, notes


def _image(folder: Path, path: Path, row: Row, header: DicomHeader) -> Image:
    below = path.relative_to(folder)
    row = {name: cell.strip() for name, cell in row.items()}
    path_patient, path_source = patient_of(path, below.parts[:-1])
    source = row.get("source", "")
    patient: str | None
    if not is_missing(row.get("patient", "")):
        patient = f"{source}/{row['patient']}"
    elif header.patient:
        patient = f"dicom/{header.patient}"
    else:
        # Only whole names of a collection count as its own.
        patient, source = path_patient or None, source or path_source
    known = {"view": header.view or view_of(below), "age": header.age, "sex": header.sex}
    row = row | {name: value for name, value in known.items() if value and not row.get(name)}
    label = class_of(below.parts[:-1]) or path.parent.name
    return Image(path, below.as_posix(), label, patient, source, row.get("site", "") or source, row)


def boxes_of(image: Image) -> tuple[Box, ...]:
    """Return the boxes that were drawn around opacities of an image.

    Parameters
    ----------
    image : Image

    Returns
    -------
    tuple of Box
        In fractions of the image's width and height; empty where the manifest has none.

    Raises
    ------
    InputError
        If the cell of the manifest holds something else.
    """
    try:
        return from_cell(image.row.get(manifest.BOXES, ""))
    except ValueError as error:
        raise InputError(
            f"{image.path.parent / manifest.NAME}, column {manifest.BOXES}: {image.path.name} {error}; correct the "
            "cell, or clear it"
        ) from None
