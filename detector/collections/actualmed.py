"""The Actualmed COVID-19 chest radiographs: patients with and without COVID-19 of one provider.

Reference: A. Wang et al. (DarwinAI, Vision and Image Processing Lab of the University of Waterloo), with Actualmed,
"Actualmed COVID-19 Chest X-ray Dataset Initiative" (2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from detector.collections.record import CLINICAL, ImageRecord
from detector.files.tables import Row, columns_of, read_table

SOURCE = "Actualmed-COVID-chestxray-dataset"
METADATA = "metadata.csv"
LOOKED_FOR = f"{METADATA} with the column imagename"
NEEDED = ("patientid", "finding", "view", "imagename")
LICENCE = "see the repository"
URL = "https://github.com/agchung/Actualmed-COVID-chestxray-dataset"


def is_here(folder: Path) -> bool:
    """Return whether a folder is a copy of this collection."""
    return "imagename" in columns_of(folder / METADATA)


def read(folder: Path) -> list[ImageRecord]:
    """Return the images that a local copy lists.

    Raises
    ------
    InputError
        If `metadata.csv` is not the collection's.
    """
    return list(entries(read_table(folder / METADATA, NEEDED, SOURCE)))


def entries(rows: Iterable[Row]) -> Iterable[ImageRecord]:
    """Yield the image of each row; one whose finding is blank was inconclusive."""
    for row in rows:
        yield ImageRecord(
            f"{METADATA}, line {row.line}",
            "images",
            row["imagename"],
            row["patientid"],
            row["view"],
            row["finding"],
            SOURCE,
            SOURCE,
            LICENCE,
            URL,
            row["modality"] or "X-ray",
            clinical={column: row[column] for column in CLINICAL},
        )
