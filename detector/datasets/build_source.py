"""The collection that a build reads: found in a folder, listed, with the patients of a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from detector import InputError
from detector.collections import cohen, covidx
from detector.collections.catalogue import BUILT, recognise
from detector.collections.record import ImageRecord
from detector.datasets.own_folders import read_patients


@dataclass(frozen=True)
class SourceOptions:
    """The collection that is read.

    Attributes
    ----------
    folder : Path
    download_from : str or None
        Address that what is missing of Cohen's collection is fetched from; None for no download.
    split : str
        Part of COVIDx; empty for all.
    patients : Path or None
        Table of the patients of files.
    """

    folder: Path
    download_from: str | None
    split: str
    patients: Path | None


def find_collection(source: SourceOptions) -> ModuleType:
    """Return the collection that a folder holds: Cohen's, if it is fetched."""
    if source.download_from:
        return cohen
    if not source.folder.exists():
        raise InputError(
            f"--covid {source.folder} does not exist; get Cohen's collection with --download, or with git clone "
            f"--depth 1 {cohen.REPOSITORY}, or give the folder of another collection (docs/data.md)"
        )
    return recognise(source.folder, BUILT, "--covid")


def read_entries(source: SourceOptions, collection: ModuleType) -> list[ImageRecord]:
    """Return the images that a collection, or a part of it, lists."""
    if collection is covidx:
        return covidx.read(source.folder, source.split)
    if source.split:
        raise InputError(f"--split: {source.folder} ({collection.SOURCE}) is not published in parts; leave it out")
    return collection.read(source.folder)


def with_patients(table: Path | None, entries: list[ImageRecord]) -> list[ImageRecord]:
    """Return the images with the patients of a table, by path, file name, name without suffix, or study."""
    if not table:
        return entries
    patients = read_patients(table)

    def patient_of(entry: ImageRecord) -> str:
        names = (entry.path.as_posix(), entry.filename, Path(entry.filename).stem, entry.patient)
        return next((patients[name] for name in names if name in patients), entry.patient)

    return [replace(entry, patient=patient_of(entry)) for entry in entries]
