"""J. P. Cohen's COVID-19 image data collection, of any era, and two collections whose tables follow it.

References: J. P. Cohen, P. Morrison, L. Dao et al., "COVID-19 Image Data Collection: Prospective Predictions Are the
Future", arXiv:2006.11988 (2020); A. Wang et al. (DarwinAI, Vision and Image Processing Lab of the University of
Waterloo), with Figure 1 and Actualmed, "Figure 1 COVID-19 Chest X-ray Dataset Initiative" and "Actualmed COVID-19 Chest
X-ray Dataset Initiative" (2020).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from detector.collections import hannover
from detector.collections.record import CLINICAL, ImageRecord, TableCollection, host_and_path
from detector.files.tables import Row, columns_of

REPOSITORY = "https://github.com/ieee8023/covid-chestxray-dataset"
# Of the last commit that changed the collection's README: findings are written as paths by then.
BASE_URL = "https://raw.githubusercontent.com/ieee8023/covid-chestxray-dataset/cec70df07d40383581484c70bb6ada1e6a2fc077"


class Cohen(TableCollection):
    """A file of the first eras has no column ``modality``; there a frontal view is an X-ray, and the view names CT."""

    source = "covid-chestxray-dataset"
    licence = url = ""  # each image has its own
    looked_for = "metadata.csv with the columns patientid and filename"
    needed = ("patientid", "finding", "view")
    views = ("PA",)
    file = "filename"  # the column that names it, by which the table is known

    def is_here(self, folder: Path) -> bool:
        """Return whether the table has the column that tells this collection from others."""
        return self.file in columns_of(folder / self.table)

    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row."""
        return ImageRecord(
            row.where,
            row["folder"] or "images",
            row[self.file],
            row["patientid"],
            row["view"],
            row["finding"],
            # The images of the Hannover Medical School are recognised by their repository.
            hannover.SITE if hannover.REPOSITORY in row["url"].lower() else host_and_path(row["url"])[0],
            row["license"],
            row["url"],
            row["modality"] if "modality" in row.cells else "X-ray",
            clinical={column: row[column] for column in CLINICAL},
        )


class Actualmed(Cohen):
    """Patients with and without COVID-19 of one provider. A row whose finding is blank was inconclusive."""

    source = "Actualmed-COVID-chestxray-dataset"
    licence = "see the repository"
    url = "https://github.com/agchung/Actualmed-COVID-chestxray-dataset"
    looked_for = "metadata.csv with the column imagename"
    file = "imagename"


class Figure1(Cohen):
    """The table does not name the files. ``COVID-00003a``, ``COVID-00003b`` … are images of one person."""

    source = "Figure1-COVID-chestxray-dataset"
    licence = "see the repository"
    url = "https://github.com/agchung/Figure1-COVID-chestxray-dataset"
    looked_for = "metadata.csv with the column patientid and none for the file"
    file = "patientid"

    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row: the patient's number with the first suffix that exists."""
        number = row["patientid"]
        names = [f"{number}{suffix}" for suffix in (".jpg", ".jpeg", ".png")]
        name = next((name for name in names if (folder / "images" / name).exists()), names[0])
        return replace(super().record(row, folder), filename=name, patient=re.sub(r"(?<=\d)[a-z]\Z", "", number))
