"""The Figure 1 COVID-19 chest radiographs, whose table does not name the files.

Reference: A. Wang et al. (DarwinAI, Vision and Image Processing Lab of the University of Waterloo), with Figure 1,
"Figure 1 COVID-19 Chest X-ray Dataset Initiative" (2020).
"""

from __future__ import annotations

import re
from pathlib import Path

from detector.collections.record import CLINICAL, ImageRecord, TableCollection
from detector.files.tables import Row, columns_of

SUFFIXES = (".jpg", ".jpeg", ".png")


class Figure1(TableCollection):
    """An image is ``images/PATIENTID`` with the first suffix of `SUFFIXES` that exists there."""

    source = "Figure1-COVID-chestxray-dataset"
    url = "https://github.com/agchung/Figure1-COVID-chestxray-dataset"
    looked_for = "metadata.csv with the column patientid and none for the file"
    needed = ("patientid", "finding", "view")
    known_by = frozenset({"patientid"})
    views = ("PA",)

    def is_here(self, folder: Path) -> bool:
        """Return whether a folder is a copy of this collection."""
        return super().is_here(folder) and not columns_of(folder / self.table) & {"filename", "imagename"}

    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row."""
        names = [f"{row['patientid']}{suffix}" for suffix in SUFFIXES]
        return ImageRecord(
            f"{self.table}, line {row.line}",
            "images",
            next((name for name in names if (folder / "images" / name).exists()), names[0]),
            person(row["patientid"]),
            row["view"],
            row["finding"],
            self.source,
            self.source,
            self.licence,
            self.url,
            row["modality"] or "X-ray",
            clinical={column: row[column] for column in CLINICAL},
        )


def person(patient: str) -> str:
    """Return who a patient number means: ``COVID-00003a``, ``COVID-00003b`` … are images of one person."""
    return re.sub(r"(?<=\d)[a-z]\Z", "", patient)
