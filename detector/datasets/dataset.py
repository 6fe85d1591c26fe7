"""Class folders and their manifests → images with labels, patients and sources.

The classes are the first level below a data set at which folders differ.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, counted, first_names
from detector.collections import kermany
from detector.collections.boxes import Box, from_cell
from detector.datasets import manifest
from detector.datasets.clinical import is_missing
from detector.files.tables import folded, simple
from detector.files.values import view_group
from detector.images import phantom
from detector.images.dicom import read_header
from detector.images.dicom_header import NO_HEADER
from detector.images.listing import SUFFIXES, SYSTEM, Listing, list_images
from detector.images.read import read

SPLITS = frozenset({"train", "val", "validation", "test"})
VIEWS = ("PA", "AP", "lateral", "frontal", "")
# A word of a file's name; BIMCV writes vp-pa, vp-ap, vp-ll into the names of its files.
VIEW = re.compile(r"(?:^|[ _-])(?:(lateral|lat|frontal)|vp-(pa|ap|ll))(?=[ _.-]|$)", re.ASCII | re.IGNORECASE)
# Help of a flag.
PATIENT_FROM = r"patients in paths, where no manifest names them: a regular expression such as 'sub-(\w+)'"
MOST_NAMES = 10
MOST_KINDS = 20  # of folders within a class that may hold masks; where there are more, they are of patients or studies
GREYS = (16, 239)  # of a mask, hardly a pixel lies between
PATH = "path"  # stands before a patient that a path names: another data set may give the number to another person
FEWEST_WITH_PLACEHOLDER = 4  # images of one patient: fewer may well be
Rows = Sequence[int] | np.ndarray  # positions of images in a data set


@dataclass(frozen=True)
class Image:
    """An image file of a data set."""

    path: Path
    file: str  # its name relative to the data set, with forward slashes on every system
    label: str  # its class: a folder's name
    patient: str | None  # with the data set, since several use the same numbers; None where it is not known
    source: str  # the data set that it comes from; empty where it is not known
    site: str  # the hospital or publisher that it comes from: the manifest's column, or the source
    row: dict[str, str]  # of the manifest, with what header and path say beside that; the age in years, or empty

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
    """Images in a fixed order, whatever order the file system lists them in; `notes` are lines to print."""

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


def load(folder: Path, patient_from: re.Pattern[str] | None = None, flag: str = "-d") -> Dataset:
    """List the images of a data set that a classifier can be trained on or tested with.

    Parameters
    ----------
    folder : Path
        Holds a folder for each class, as `class_level` finds them.
    patient_from : re.Pattern, optional
        Its groups, found in an image's path below `folder`, name the patient where no manifest does.
    flag : str, default="-d"
        That named the folder, for errors.
    """
    images, notes = list_classes(folder, patient_from, flag)
    classes = sorted({image.label for image in images})
    if len(classes) < 2:
        left_out = f" ({notes[0]})" if notes else ""
        raise InputError(
            f"data set {folder} has one class only, {', '.join(classes)}{left_out}; a classifier needs two folders of "
            f"images{question(folder, flag, f'{classes[0]}/*')}"
        )
    if alike := [name for name in classes if [*map(folded, classes)].count(folded(name)) > 1]:
        raise InputError(
            f"data set {folder} has the classes {' and '.join(map(repr, alike))}, which seem to be one; give their "
            "folders one name"
        )
    real = [image.file for image in images if image.source != phantom.SOURCE]
    if 0 < len(real) < len(images):
        raise InputError(
            f"data set {folder} mixes {len(images) - len(real)} phantoms with real radiographs ({first_names(real)}); "
            "keep them in data sets of their own"
        )
    images, placeholders = _without_placeholders(images)
    notes += placeholders
    if unknown := {image.view for image in images} - {*VIEWS}:
        notes.append(f"views of other words than PA, AP and lateral: {first_names(sorted(unknown), MOST_NAMES)}")
    inner = {name for image in images if not image.patient for name in image.file.split("/")[:-1]} - {*classes}
    if inner and not patient_from:
        notes.append(
            f"folders within the classes are not taken for patients ({first_names(sorted(inner))}); where paths name "
            "them, say how with --patient-from"
        )
    return Dataset(images, classes, notes, folder.resolve().name)


def list_classes(
    folder: Path, patient_from: re.Pattern[str] | None = None, flag: str = "-d"
) -> tuple[list[Image], list[str]]:
    """Return the images of class folders, and what to say of them; as `load`, but one class may do."""
    listing = _listed(folder, f"data set {folder}", "; build it first, as the README says")
    level = class_level(folder, listing.images, flag)
    masks = masks_among(folder, listing.images, level)
    listing.images = [path for path in listing.images if path not in masks]
    listing.left_out.update({"masks": len(masks)} if masks else {})
    images, notes = _images(folder, listing, level, patient_from)
    where = folder.joinpath(*listing.images[0].relative_to(folder).parts[:level])
    known = {image.label for image in images}
    beside = sorted(one.name for one in where.iterdir() if one.is_dir() and not one.name.startswith("."))
    if empty := [name for name in beside if name not in known and name.lower() not in SYSTEM]:
        notes.append(f"folders without images, which are no classes: {first_names(empty)}")
    wrong: dict[Path, list[str]] = defaultdict(list)
    for image in images:
        label = image.row.get("label", "")
        if label and folded(label) not in map(folded, image.file.split("/")[:-1]):
            wrong[image.path.parent / manifest.NAME].append(f"{image.path.name} ({label})")
    for table, files in wrong.items():
        raise InputError(
            f"{table}, column label: {counted(len(files), 'row')} with another class than the folder, "
            f"{first_names(files, MOST_NAMES)}; move these images into the folder of their class, or correct the column"
        )
    return images, notes


def load_folder(folder: Path, patient_from: re.Pattern[str] | None = None) -> list[Image]:
    """List the images of one folder, whatever folders within it hold them."""
    return _images(folder.parent, _listed(folder, f"--controls {folder}"), 0, patient_from)[0]


def _listed(folder: Path, name: str, advice: str = "") -> Listing:
    if not folder.is_dir():
        raise InputError(f"{name} {'is a file, not a folder' if folder.exists() else 'does not exist'}{advice}")
    listing = list_images(folder)
    if not listing.images:
        raise InputError(f"{name} holds no images{f' ({listing.note})' if listing.note else advice}")
    return listing


def _images(
    folder: Path, listing: Listing, level: int, patient_from: re.Pattern[str] | None
) -> tuple[list[Image], list[str]]:
    """Return the images of a listing, and what to say of them: files left out, rows and files without each other."""
    by_folder: dict[Path, list[str]] = defaultdict(list)
    by_class: dict[str, list[str]] = defaultdict(list)
    for path in listing.images:
        by_folder[path.parent].append(path.name)
        by_class[path.relative_to(folder).parts[level]].append(path.name)
    kermanys = {label for label, names in by_class.items() if kermany.documented(names)}
    rows: dict[Path, manifest.Row] = {}
    notes: list[str] = []
    for inner, names in by_folder.items():
        found, said = manifest.of_files(inner, names, inner.relative_to(folder).as_posix())
        rows |= {inner / name: row for name, row in found.items()}
        notes += said
    images = []
    for path in listing.images:
        below, row = path.relative_to(folder), rows.get(path, {})
        named = not is_missing(row.get("patient", ""))
        header = (None if named else read_header(path)) or NO_HEADER
        if header.left_out:
            listing.left_out[header.left_out] += 1
            continue
        label, source, patient = below.parts[level], row.get("source", ""), None
        match = patient_from.search(below.as_posix()) if patient_from else None
        if named:
            patient = f"{source}/{row['patient']}"
        elif match and any(match.groups()):
            patient = f"{PATH}/{'-'.join(filter(None, match.groups()))}"
        elif header.patient:
            patient = f"dicom/{header.patient}"
        elif label in kermanys and (number := kermany.patient(path.name)):
            patient, source = f"{kermany.Kermany.source}/{number}", source or kermany.Kermany.source
        known = {"view": header.view or view_of(below), "age": header.age, "sex": header.sex}
        row = row | {name: value for name, value in known.items() if value and not row.get(name)}
        images.append(Image(path, below.as_posix(), label, patient, source, row.get("site", "") or source, row))
    if listing.note:
        notes.insert(0, listing.note)
    if patient_from and (alone := [image.file for image in images if not image.patient]):
        count = counted(len(alone), "image")
        notes.append(f"--patient-from finds no patient of {count} ({first_names(alone)}): each counts as its own")
    return images, notes


def _without_placeholders(images: list[Image]) -> tuple[list[Image], list[str]]:
    """Return images without the patients that most images of a class have, who are nobody; and notes on these."""
    sizes, numbers = Counter(image.label for image in images), Counter((image.label, image.patient) for image in images)
    shared = {
        (label, who): number
        for (label, who), number in numbers.items()
        if who and number >= FEWEST_WITH_PLACEHOLDER and number > sizes[label] / 2
    }
    nobody = {who for _, who in shared}
    notes = [
        f"{number} of {sizes[label]} images of {label} have the same patient identifier, which identifies nobody: each "
        "counts as a patient of its own"
        for (label, _), number in sorted(shared.items())
    ]
    return [replace(image, patient=None) if image.patient in nobody else image for image in images], notes


# What folders mean


def class_level(folder: Path, paths: Sequence[Path], flag: str) -> int:
    """Return how many folders lie between a data set's folder and those of its classes.

    Classes are the first level at which folders differ; a chain of single folders is passed through. Whatever lies
    deeper belongs to its class. `paths` are those of the images; `flag` named the folder, for errors.
    """
    folders = [path.relative_to(folder).parts[:-1] for path in paths]
    if loose := [path.name for path, names in zip(paths, folders, strict=True) if not names]:
        # Most images of a class lie in its folder; most of a data set do not.
        asked = (
            question(folder, flag, "*", "*/*")
            if 2 * len(loose) > len(paths) or len({*filter(None, folders)}) < 2
            else ""
        )
        raise InputError(
            f"data set {folder} holds {first_names(loose)} outside of its class folders; move them into one{asked}"
        )
    level = 0
    while all(len(names) > level + 1 and names[level] == folders[0][level] for names in folders):
        level += 1
    where, found = folder.joinpath(*folders[0][:level]), {names[level] for names in folders}
    parts = sorted(
        (name for name in found if name.casefold() in SPLITS), key=lambda name: (name.casefold() != "train", name)
    )
    if not parts or len(found) == 1:
        return level
    if len(parts) < len(found):
        raise InputError(
            f"data set {folder} holds {where / parts[0]} beside other folders: {parts[0]} is a part of a data set, not "
            f"a class; move it out of {where}, and test on it with audit_covid19.py -d {folder} --external {parts[0]}"
        )
    raise InputError(
        f"data set {folder} holds {', '.join(parts)}, the parts of a data set that is split already; train with "
        f"-d {where / parts[0]}, and test on the other part with audit_covid19.py -d {where / parts[0]} --external "
        f"{where / parts[1]}"
    )


def question(folder: Path, flag: str, *patterns: str) -> str:
    """Ask for the folder above where others beside this one, which may be that of one class, hold images so, too."""
    above = Path(os.path.normpath(folder / ".."))
    beside = (one for one in above.glob("*") if one.is_dir() and not one.samefile(folder))
    is_one = any(
        path.suffix.lower() in SUFFIXES for one in beside for pattern in patterns for path in one.glob(pattern)
    )
    return f"; did you mean {flag} {above}?" if is_one else ""


def masks_among(folder: Path, paths: Sequence[Path], level: int) -> set[Path]:
    """Return which images of a data set are masks of others.

    They lie in a folder within their class of which every file has a namesake in another folder of the class, and are
    black and white: one is looked at for each name of such folders.
    """
    found: set[Path] = set()
    classes: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        classes[path.relative_to(folder).parts[level]][path.parent.name].append(path)
    for kinds in classes.values():
        if not 1 < len(kinds) <= MOST_KINDS:
            continue
        stems = {kind: {path.stem for path in inside} for kind, inside in kinds.items()}
        masks = [
            kind
            for kind, inside in kinds.items()
            if stems[kind] <= set().union(*(names for other, names in stems.items() if other != kind))
            and _is_black_and_white(inside[0])
        ]
        if len(masks) < len(kinds):
            found.update(path for kind in masks for path in kinds[kind])
    return found


def _is_black_and_white(path: Path) -> bool:
    try:
        pixels = read(path).pixels
    except InputError:
        return False
    return bool(np.mean((pixels > GREYS[0]) & (pixels < GREYS[1])) < 0.1)


def class_named(classes: Sequence[str], wanted: str, where: Path) -> str:
    """Return the class of a name, in any letter case."""
    if found := next((name for name in classes if folded(name) == folded(wanted)), ""):
        return found
    there = f"data set {where} has no class {wanted}; its classes are {first_names(list(classes), MOST_NAMES)}"
    deeper = sorted(path.parent for path in where.rglob("*") if folded(path.name) == folded(wanted) and path.is_dir())
    if deeper and deeper[0] != where:
        raise InputError(f"{there}; give a folder that holds {wanted} with -d, such as {deeper[0]}")
    near = [name for name in classes if simple(name).startswith(simple(wanted))]
    if len(near) == 1:
        raise InputError(f"{there}; add --positive-class {shlex.quote(near[0])}")
    asked = question(where, "-d", "*/*") if folded(where.resolve().name) == folded(wanted) else ""
    raise InputError(f"{there}: choose the positive one with --positive-class{asked}")


def view_of(path: Path) -> str:
    """Return the view that a path names, such as ``view1_frontal.jpg`` or ``PA/1.png``; empty where it names none."""
    if match := VIEW.search(path.stem):
        return view_group(match[1] or match[2])
    return next((view_group(name) for name in reversed(path.parts[:-1]) if name.lower() in map(str.lower, VIEWS)), "")


def patient_pattern(text: str) -> re.Pattern[str]:
    """Parse what ``--patient-from`` is given, for `argparse`: a regular expression with a group around the patient."""
    with suppress(re.error):
        pattern = re.compile(text)
        if pattern.groups:
            return pattern
    raise argparse.ArgumentTypeError(
        rf"{text!r} is no regular expression with a group in parentheses around the patient, as 'sub-(\w+)' is"
    )


def boxes_of(image: Image) -> tuple[Box, ...]:
    """Return the boxes that were drawn around opacities, in fractions of width and height, as the manifest has them."""
    where = f"{image.path.parent / manifest.NAME}, column {manifest.BOXES}: {image.path.name}"
    return from_cell(image.row.get(manifest.BOXES, ""), where)
