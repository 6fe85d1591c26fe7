"""Manifests for class folders that a person has from elsewhere; no image is touched."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from detector import InputError, first_names
from detector.collections.catalogue import SOURCES
from detector.datasets import manifest
from detector.datasets.clinical import is_missing
from detector.datasets.dataset import Image, list_classes
from detector.files.atomic import sha256
from detector.files.tables import PATIENT, match_files, read_by_file
from detector.images.phantom import SOURCE as PHANTOM


def write_manifests(
    folder: Path, source: str, view: str, patients: Path | None, patient_from: re.Pattern[str] | None = None
) -> tuple[dict[Path, int], list[str]]:
    """Write a manifest into each folder of images, beside what other manifests of it say.

    Parameters
    ----------
    folder : Path
        Holds a folder for each class.
    source : str
        A name for where the images come from; none of a collection that has a builder, whose next build would take the
        images for its own.
    view : str
        Of all images; empty where it is not known.
    patients : Path or None
        Table of patients by the file's name or its path, in any letter case and with any suffix where that is
        unambiguous.
    patient_from : re.Pattern, optional
        Its groups, found in an image's path, name the patient of one that `patients` does not name.

    Returns
    -------
    counts : dict
        The number of images of each folder that got a manifest.
    notes : list of str
    """
    if source in SOURCES or source == PHANTOM:
        raise InputError(f"--source {source} is a collection with a builder of its own; give the images another name")
    images, notes = list_classes(folder, patient_from, "--write-manifests")
    notes = [note for note in notes if manifest.NAME not in note]  # that is of the manifests of before
    given: dict[str, str] = {}
    if patients:
        rows = read_patients(patients)
        given, unused, said = match_files(rows, [image.file for image in images], "--patients")
        if len(unused) == len(rows):
            raise InputError(f"--patients names no image of {folder}, but {first_names(unused)}; give its own table")
        notes += said
    by_folder: dict[Path, list[Image]] = defaultdict(list)
    for image in images:
        by_folder[image.path.parent].append(image)
    for inner, inside in by_folder.items():
        known = manifest.read(inner)
        others = {name: row for name, row in known.items() if row["source"] not in ("", source)}
        own = {
            image.path.name: _row(image, known.get(image.path.name, {}), given.get(image.file, ""), source, view)
            for image in inside
        }
        manifest.write(inner, (own | others).values())
    return {inner: len(inside) for inner, inside in by_folder.items()}, notes


def _row(image: Image, earlier: manifest.Row, patient: str, source: str, view: str) -> manifest.Row:
    """Return the row of an image: what the user says, then an earlier row of the same bytes, then header and path."""
    digest, said, own = sha256(image.path), image.row, image.patient or ""
    if earlier.get("sha256", "") not in ("", digest):
        earlier, said, own = {}, {}, ""
    known = dict.fromkeys(manifest.COLUMNS, "") | said | {name: cell for name, cell in earlier.items() if cell}
    return known | {
        "file": image.path.name,
        "label": image.label,
        "patient": patient or own.partition("/")[2],
        "view": view or known["view"],
        "finding": known["finding"] or image.label,
        "source": source,
        "site": known["site"] or source,
        "sha256": digest,
    }


def read_patients(path: Path) -> dict[str, str]:
    """Read a table of patients, by what its column of files has; an empty name where the patient is not known."""
    rows = read_by_file(path, "--patients", {"patient": PATIENT})
    return {file: "" if is_missing(row["patient"]) else row["patient"] for file, row in rows.items()}
