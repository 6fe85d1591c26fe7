"""Manifests for class folders that a person has from elsewhere; no image is touched."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from detector import InputError
from detector.collections import kermany
from detector.collections.catalogue import SOURCES
from detector.collections.csv_table import decode
from detector.datasets import manifest
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.radiographs import find
from detector.storage.files import sha256
from detector.storage.locks import locked_folders


def write_manifests(folder: Path, source: str, view: str, patients: Mapping[str, str]) -> dict[Path, int]:
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
        By the file's name or its path below `folder`.

    Returns
    -------
    dict of Path to int
        Images by folder.

    Raises
    ------
    InputError
        If there are no class folders, or the source's name is taken, or a patient's file is not there.
    """
    if source in SOURCES or source == PHANTOM:
        raise InputError(f"--source {source} is a collection with a builder of its own; give the images another name")
    if not folder.is_dir():
        raise InputError(f"--write-manifests {folder} is not a folder")
    images = defaultdict(list)
    for path in find(folder):
        images[path.parent].append(path)
    if not images or folder in images:
        raise InputError(
            f"--write-manifests {folder}: images must lie in folders named after their classes, and no others"
        )
    here = {path.relative_to(folder).as_posix() for paths in images.values() for path in paths}
    unused = set(patients) - here - {Path(name).name for name in here}
    if unused:
        raise InputError(f"--patients names {', '.join(sorted(unused)[:3])}, which {folder} does not hold")
    for inner, paths in images.items():
        known = manifest.read(inner)
        rows = {name: row for name, row in known.items() if row["source"] != source}
        for path in paths:
            below = path.relative_to(folder).as_posix()
            if path.name not in rows:
                patient = patients.get(below) or patients.get(path.name) or kermany.patient(path.name) or ""
                rows[path.name] = _row(path, inner.name, patient, source, view)
        extra = dict.fromkeys(name for row in known.values() for name in row if name not in manifest.COLUMNS)
        with locked_folders([inner]):
            manifest.write(inner, rows.values(), list(extra))
    return {inner: len(paths) for inner, paths in images.items()}


def _row(path: Path, label: str, patient: str, source: str, view: str) -> manifest.Row:
    return {
        "file": path.name,
        "label": label,
        "patient": patient,
        "view": view,
        "finding": label,
        "source": source,
        "site": source,
        "licence": "",
        "url": "",
        "sha256": sha256(path),
    }


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
    table = csv.DictReader(io.StringIO(decode(data), newline=""), strict=True)
    found: dict[str, str] = {}
    try:
        if not {"file", "patient"} <= set(table.fieldnames or ()):
            raise InputError(f"--patients {path} must have the columns file and patient")
        for row in table:
            file, patient = (row["file"] or "").strip(), (row["patient"] or "").strip()
            if found.setdefault(file, patient) != patient:
                raise InputError(f"--patients {path}, line {table.line_num}: {file} has two patients; remove one")
    except csv.Error as error:
        raise InputError(f"--patients {path}, line {table.line_num}: not CSV ({error})") from None
    return {file: patient for file, patient in found.items() if file}
