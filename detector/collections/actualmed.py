"""The Actualmed COVID-19 chest radiographs: patients with and without COVID-19 of one provider.

Reference: A. Wang et al. (DarwinAI, Vision and Image Processing Lab of the University of Waterloo), with Actualmed,
"Actualmed COVID-19 Chest X-ray Dataset Initiative" (2020).
"""

from __future__ import annotations

from pathlib import Path

from detector.collections.record import CLINICAL, ImageRecord, TableCollection
from detector.files.tables import Row


class Actualmed(TableCollection):
    """A row whose finding is blank was inconclusive."""

    source = "Actualmed-COVID-chestxray-dataset"
    url = "https://github.com/agchung/Actualmed-COVID-chestxray-dataset"
    looked_for = "metadata.csv with the column imagename"
    needed = ("patientid", "finding", "view", "imagename")
    known_by = frozenset({"imagename"})
    views = ("PA",)

    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row."""
        return ImageRecord(
            f"{self.table}, line {row.line}",
            "images",
            row["imagename"],
            row["patientid"],
            row["view"],
            row["finding"],
            self.source,
            self.source,
            self.licence,
            self.url,
            row["modality"] or "X-ray",
            clinical={column: row[column] for column in CLINICAL},
        )
