"""The Figure 1 COVID-19 chest radiographs, whose table does not name the files.

Reference: A. Wang et al. (DarwinAI, Vision and Image Processing Lab of the University of Waterloo), with Figure 1,
"Figure 1 COVID-19 Chest X-ray Dataset Initiative" (2020).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from detector.collections.record import CLINICAL, ImageRecord
from detector.files.tables import Row, columns_of, read_table

SOURCE = "Figure1-COVID-chestxray-dataset"
METADATA = "metadata.csv"
LOOKED_FOR = f"{METADATA} with the column patientid and none for the file"
NEEDED = ("patientid", "finding", "view")
SUFFIXES = (".jpg", ".jpeg", ".png")
LICENCE = "see the repository"
URL = "https://github.com/agchung/Figure1-COVID-chestxray-dataset"


def is_here(folder: Path) -> bool:
    """Return whether a folder is a copy of this collection."""
    columns = columns_of(folder / METADATA)
    return "patientid" in columns and not columns & {"filename", "imagename"}


def read(folder: Path) -> list[ImageRecord]:
    """Return the images that a local copy lists.

    Raises
    ------
    InputError
        If `metadata.csv` is not the collection's.
    """
    return list(
        entries(read_table(folder / METADATA, NEEDED, SOURCE), lambda name: (folder / "images" / name).exists())
    )


def entries(rows: Iterable[Row], exists: Callable[[str], bool]) -> Iterable[ImageRecord]:
    """Yield the image of each row: ``images/<patientid>`` with the first suffix of `SUFFIXES` that exists there."""
    for row in rows:
        names = [f"{row['patientid']}{suffix}" for suffix in SUFFIXES]
        yield ImageRecord(
            f"{METADATA}, line {row.line}",
            "images",
            next((name for name in names if is_plain(name) and exists(name)), names[0]),
            person(row["patientid"]),
            row["view"],
            row["finding"],
            SOURCE,
            SOURCE,
            LICENCE,
            URL,
            row["modality"] or "X-ray",
            clinical={column: row[column] for column in CLINICAL},
        )


def is_plain(name: str) -> bool:
    """Return whether a name can be looked for; one that leads elsewhere is rejected later."""
    return re.fullmatch(r"[\w-][\w.-]*", name) is not None


def person(patient: str) -> str:
    """Return who a patient number means: ``COVID-00003a``, ``COVID-00003b`` … are images of one person."""
    return re.sub(r"(?<=\d)[a-z]\Z", "", patient)
