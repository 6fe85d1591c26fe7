"""What every collection yields, an image with what is known of it, and what a collection is: `Collection`."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from detector import InputError
from detector.collections.boxes import Box, as_cell, in_fractions
from detector.files.tables import SUFFIX, Row, file_bytes, parse_table, simple
from detector.images.dicom import read_header
from detector.images.dicom_header import hashed

COVID = "COVID-19"
# What collections write where the finding is unknown.
UNKNOWN_FINDINGS = frozenset({"", "todo", "unknown", "na", "nan", "none"})
OTHER_NAME = "file name not of the data set"  # why an image is left out whose name alone would say what it is
# Columns of clinical values that a manifest may have, under the names of J. P. Cohen's late format: days since the
# first symptoms or admission, years, Y or N, degrees Celsius, per cent, thousands per microlitre.
CLINICAL = (
    *("offset", "sex", "age", "survival", "intubated", "went_icu", "needed_supplemental_O2"),
    *("temperature", "pO2_saturation", "leukocyte_count", "neutrophil_count", "lymphocyte_count"),
)
DOCUMENTED = 0.9  # share of files whose names a collection documents, from which on a folder is taken for it


@dataclass(frozen=True)
class ImageRecord:
    """An image of a collection."""

    listed: str  # where the collection lists it, for errors: such as "metadata.csv, line 3"
    folder: str  # as listed, relative to the collection's folder
    filename: str
    patient: str  # empty where it is not known
    view: str  # in the collection's own words, as the finding
    finding: str
    site: str = ""  # where the image was made or published; empty for the collection
    licence: str = ""  # empty for the collection's, as the address
    url: str = ""
    modality: str = "X-ray"
    unknown: str = ""  # why it is neither positive nor a control, where the collection gives no diagnosis
    clinical: Mapping[str, str] = field(default_factory=dict)  # by the names in `CLINICAL`
    boxes: Sequence[Box] = ()  # opacities that a radiologist drew, in pixels of the original image
    size: tuple[int, int] = (0, 0)  # width and height of the original; 0 where they are not known
    sha256: str = ""  # of the file, once it is read

    @property
    def path(self) -> PurePosixPath:
        """Where the image lies in the collection's folder."""
        return PurePosixPath(self.folder, self.filename)


def require_inside(entry: ImageRecord) -> PurePosixPath:
    """Return an entry's path; reject one that could lead out of the collection or is not a plain name."""
    text = f"{entry.folder}/{entry.filename}"
    windows, name = PureWindowsPath(text), entry.filename
    if (
        not name
        or PurePosixPath(name).name != name
        or PureWindowsPath(name).name != name
        or name.startswith(".")
        or ".." in windows.parts
        or PurePosixPath(entry.folder).is_absolute()
        or windows.drive
        or not text.isprintable()
    ):
        raise InputError(f"{entry.listed}: {text!r} is no file inside the collection's folder; correct or remove it")
    return entry.path


def names_finding(text: str, finding: str) -> bool:
    """Return whether a finding is named at any level, without regard to case, spaces and hyphens.

    ``COVID-19``, ``COVID-19, ARDS`` and ``Pneumonia/Viral/COVID-19`` all name ``COVID-19``; ``Pneumonia/Viral`` is
    named by the last. A collection's words for what it sees are separated by commas, semicolons or bars.
    """
    # Such as "/pneumonia/viral/".
    wanted, *parts = (f"/{'/'.join(map(simple, one.split('/')))}/" for one in (finding, *re.split(r"[,;|]", text)))
    return any(wanted in part for part in parts)


class Collection(ABC):
    """A data set of radiographs, as it is published: to add one, subclass this and name it in `catalogue`."""

    source: str  # its name in manifests
    looked_for: str  # what it is recognised by, for errors
    licence: str = "see the repository"  # of all images that have no own, as the address
    url: str
    positive: str = COVID  # the finding that is meant by COVID-19
    controls: tuple[str, ...] = ()  # the findings of controls; empty for every other one that is known
    words: tuple[tuple[str, str], ...] = ()  # what a user may call a finding, and the collection's word
    views: tuple[str, ...] = ()  # that are kept by default; empty for any
    one_per_patient: bool = False  # whether one image of each patient is kept by default
    parts: tuple[str, ...] = ()  # of its published split
    part: str = ""  # that is read by default; empty for all
    reads_headers: bool = False  # whether view, age and patient stand in the files, where `complete` reads them
    are_children: bool = False  # whether all patients are
    columns: tuple[str, ...] = CLINICAL  # of its manifests in any case; age and sex are written where they are known

    @abstractmethod
    def is_here(self, folder: Path) -> bool:
        """Return whether a folder is a copy of this collection."""

    @abstractmethod
    def read(self, folder: Path, part: str = "") -> Iterable[ImageRecord]:
        """Yield the images that a copy lists, or those of one part of its published split."""

    def complete(self, folder: Path, entry: ImageRecord) -> ImageRecord:
        """Return an entry with what its DICOM header says; a patient whom the table names, too, keeps that name."""
        path = folder / require_inside(entry)
        header = read_header(path) if self.reads_headers else None
        if header is None:
            return entry
        known = {name: value for name, value in (("age", header.age), ("sex", header.sex)) if value}
        return replace(
            entry,
            patient=entry.patient if header.patient in ("", hashed(entry.patient)) else header.patient,
            view=header.view,
            clinical={**entry.clinical, **known},
            size=(header.width or entry.size[0], header.height or entry.size[1]),
        )

    def manifest_row(self, entry: ImageRecord, name: str, label: str) -> dict[str, str]:
        """Return the manifest's row of an image; one without a patient is a patient of its own."""
        known = {column: entry.clinical.get(column, "") for column in ("age", "sex")}
        known["boxes"] = as_cell(in_fractions(entry.boxes, *entry.size)) if all(entry.size) else ""
        return {
            "file": name,
            "label": label,
            "patient": entry.patient or f"unnumbered-{name}",
            "view": entry.view,
            "finding": entry.finding,
            "source": self.source,
            "site": entry.site or self.source,
            "licence": entry.licence or self.licence,
            "url": entry.url or self.url,
            "sha256": entry.sha256,
            **{column: entry.clinical.get(column, "") for column in self.columns},
            **{column: cell for column, cell in known.items() if cell},
        }

    def is_control(self, text: str, positive: str) -> bool:
        """Return whether a finding is a control's: known, and neither `positive` nor COVID-19."""
        if self.controls:
            return any(names_finding(text, one) for one in self.controls)
        return simple(text) not in UNKNOWN_FINDINGS and not any(names_finding(text, one) for one in (positive, COVID))

    def notes(self, folder: Path, entries: Sequence[ImageRecord]) -> list[str]:
        """Return what a user must know of the tables and of the images that they list."""
        return []


class TableCollection(Collection):
    """A collection with one table, of which each row is an image; a subclass turns a row into a record."""

    table: str = "metadata.csv"
    needed: tuple[str, ...]

    def read(self, folder: Path, part: str = "") -> list[ImageRecord]:
        """Return the image of each row."""
        return self.parse(file_bytes(folder / self.table), folder / self.table)

    def parse(self, data: bytes, path: Path) -> list[ImageRecord]:
        """Return the images that the bytes of a table list; `path` is what errors call it."""
        return [
            self.record(row, path.parent) for row in parse_table(data, path, {name: (name,) for name in self.needed})
        ]

    @abstractmethod
    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row."""


def host_and_path(url: str) -> tuple[str, str]:
    """Return the host of an address, without ``www.``, and its path; empty where it is none."""
    try:
        parts = urlsplit(url.strip())
        return (parts.hostname or "").removeprefix("www."), parts.path.strip("/")
    except ValueError:
        return "", ""


def locate(folder: Path) -> dict[str, PurePosixPath]:
    """Return where each file below a folder lies, by its name without suffix; of several the DICOM file, or the first.

    Hidden files and folders of masks are passed over.
    """
    found: dict[str, PurePosixPath] = {}
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name.lower() != "masks")
        below = PurePosixPath(Path(inner).relative_to(folder).as_posix())
        for name in sorted(names):
            stem = SUFFIX.sub("", name)
            if not name.startswith(".") and (stem not in found or name.lower().endswith(".dcm")):
                found[stem] = below / name
    return found
