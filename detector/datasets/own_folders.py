"""Manifests for class folders that a person has from elsewhere; no image is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import InputError, counted, first_names
from detector.collections.catalogue import SOURCES
from detector.datasets import manifest
from detector.datasets.clinical import is_missing
from detector.datasets.folders import class_of, patient_of, require_classes, require_one_part, view_of
from detector.files.atomic import sha256
from detector.files.tables import PATIENT, FileNames, read_cells, row_of, simple
from detector.images.dicom_header import DicomHeader, read_if_readable
from detector.images.listing import is_dicom_file, list_images
from detector.images.phantom import SOURCE as PHANTOM

# Headings of tables of patients, as `simple` returns them.
FILE = ("file", "filename", "imagename", "image", "path", "filepath")


def write_manifests(folder: Path, source: str, view: str, patients: Mapping[str, str]) -> WrittenManifests:
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
    patients : mapping of str to str
        By the file's name or its path, in any letter case and with any suffix where that is unambiguous.

    Returns
    -------
    WrittenManifests

    Raises
    ------
    InputError
        If there are no class folders, or the source's name is taken, or a patient's file is not there or ambiguous.
    """
    if source in SOURCES or source == PHANTOM:
        raise InputError(f"--source {source} is a collection with a builder of its own; give the images another name")
    if not folder.is_dir():
        raise InputError(f"--write-manifests {folder} is not a folder")
    listing = list_images(folder)
    headers = {path: read_if_readable(path) for path in listing.images if is_dicom_file(path)}
    listing.left_out.update(header.left_out for header in headers.values() if not header.is_radiograph)
    listing.images = [path for path in listing.images if path not in headers or headers[path].is_radiograph]
    if not listing.images or any(path.parent == folder for path in listing.images):
        raise InputError(
            f"--write-manifests {folder}: images must lie in folders named after their classes, and no others"
        )
    require_one_part(folder, listing.images)
    require_classes(folder, listing.images)
    images = defaultdict(list)
    for path in listing.images:
        images[path.parent].append(path)
    here = [path.relative_to(folder).as_posix() for path in listing.images]
    given = patients_by_file(patients, here, folder)
    notes = [listing.note] if listing.note else []
    if given and (without := [name for name in here if name not in given]):
        notes.append(f"--patients has no row of {counted(len(without), 'image')} ({first_names(without)})")
    for inner, paths in images.items():
        known = manifest.read(inner)
        rows = {name: row for name, row in known.items() if row["source"] != source}
        for path in paths:
            below = path.relative_to(folder)
            if path.name not in rows:
                header = headers.get(path, DicomHeader())
                row = _row(path, below.parts[:-1], header, given.get(below.as_posix(), ""), source, view)
                rows[path.name] = _completed(row, known.get(path.name, {}))
        extra = dict.fromkeys(name for row in (*known.values(), *rows.values()) for name in row)
        gone = sorted(name for name in rows if not (inner / name).is_file())
        if gone:
            notes.append(f"{inner / manifest.NAME} keeps {len(gone)} rows that name no file ({first_names(gone)})")
        manifest.write(inner, rows.values(), [name for name in extra if name not in manifest.COLUMNS])
    return WrittenManifests({inner: len(paths) for inner, paths in images.items()}, notes)


def patients_by_file(patients: Mapping[str, str], files: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the patient of each file that a table names.

    Parameters
    ----------
    patients : mapping of str to str
        As the table has them.
    files : sequence of str
        Paths below `folder`.
    folder : Path

    Raises
    ------
    InputError
        If a name fits no file, or several, or a file has two patients.
    """
    names, found, unused = FileNames(files), dict[str, str](), []
    for name, patient in patients.items():
        fitting = names.named(name)
        if not fitting:
            unused.append(name)
        elif len(fitting) > 1:
            raise InputError(
                f"--patients names {name}, which is {first_names(fitting)}; give its path below {folder}, such as "
                f"{fitting[0]}"
            )
        elif found.setdefault(fitting[0], patient) != patient:
            raise InputError(f"--patients gives {fitting[0]} two patients; remove one")
    if unused:
        raise InputError(f"--patients names {first_names(sorted(unused))}, which {folder} does not hold")
    return found


@dataclass(frozen=True)
class WrittenManifests:
    """The number of images of each folder that got a manifest, and what else to say."""

    counts: Mapping[Path, int]
    notes: Sequence[str]


def _row(path: Path, folders: Sequence[str], header: DicomHeader, patient: str, source: str, view: str) -> manifest.Row:
    """Return the row of an image: what the user says comes before the DICOM header, and that before the path."""
    label = class_of(folders)
    path_patient = patient_of(path, folders)[0].partition("/")[2]
    row = {
        "file": path.name,
        "label": label,
        "patient": patient or header.patient or path_patient,
        "view": view or header.view or view_of(Path(*folders, path.name)),
        "finding": label,
        "source": source,
        "site": source,
        "licence": "",
        "url": "",
        "sha256": sha256(path),
    }
    return row | {name: value for name, value in (("age", header.age), ("sex", header.sex)) if value}


def _completed(row: manifest.Row, earlier: manifest.Row) -> manifest.Row:
    """Return a row with what an earlier manifest said of the same image and this call does not: patient, view, site."""
    if earlier.get("sha256") != row["sha256"]:
        return row
    said = {name: value for name, value in row.items() if value and not (name == "site" and earlier["site"])}
    return earlier | said


def read_patients(path: Path) -> dict[str, str]:
    """Read a table with the columns file and patient.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or gives a file two patients.
    """
    if not path.is_file():
        raise InputError(f"--patients {path} is not a file")
    try:
        return parse_patients(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"--patients {path} cannot be read: {error.strerror or error}") from None


def parse_patients(data: bytes, path: Path) -> dict[str, str]:
    """Read the bytes of such a table; `path` is what errors call it.

    Raises
    ------
    InputError
    """
    heading, lines = read_cells(data, f"--patients {path}")
    columns = [simple(name) for name in heading]
    at = [next((name for name in columns if name in known), "") for known in (FILE, PATIENT)]
    if "" in at:
        raise InputError(f"--patients {path} must have the columns file and patient")
    found: dict[str, str] = {}
    for number, cells in lines:
        row = row_of(columns, cells, number, f"--patients {path}")
        file, patient = (row[name] for name in at)
        patient = "" if is_missing(patient) else patient
        file = file.replace("\\", "/").removeprefix("./")
        if found.setdefault(file, patient) != patient:
            raise InputError(f"{row.where}: {file} has two patients; remove one")
    return {file: patient for file, patient in found.items() if file}
