"""J. P. Cohen's COVID-19 image data collection, of any era.

Reference: J. P. Cohen, P. Morrison, L. Dao et al., "COVID-19 Image Data Collection: Prospective Predictions Are the
Future", arXiv:2006.11988 (2020).
"""

from __future__ import annotations

from pathlib import Path

from detector.collections import hannover
from detector.collections.record import CLINICAL, ImageRecord, TableCollection, host_and_path
from detector.files.tables import Row, parse_table

REPOSITORY = "https://github.com/ieee8023/covid-chestxray-dataset"
# The last commit that changed the collection's README: findings are written as paths by then.
COMMIT = "cec70df07d40383581484c70bb6ada1e6a2fc077"
BASE_URL = f"https://raw.githubusercontent.com/ieee8023/covid-chestxray-dataset/{COMMIT}"


class Cohen(TableCollection):
    """A file of the first eras has no column ``modality``; there a frontal view is an X-ray, and the view names CT."""

    source = "covid-chestxray-dataset"
    url = REPOSITORY
    looked_for = "metadata.csv with the columns patientid and filename"
    needed = ("patientid", "finding", "view", "filename")
    known_by = frozenset({"filename"})
    views = ("PA",)

    def parse(self, data: bytes, path: Path) -> list[ImageRecord]:
        """Return the images that the bytes of a `metadata.csv` list; `path` is what errors call it."""
        return [self.record(row, path.parent) for row in parse_table(data, path, self.needed, self.source)]

    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row."""
        return ImageRecord(
            f"{self.table}, line {row.line}",
            row["folder"] or "images",
            row["filename"],
            row["patientid"],
            row["view"],
            row["finding"],
            self.source,
            site(row["url"]),
            row["license"],
            row["url"],
            row["modality"] if "modality" in row.cells else "X-ray",
            clinical={column: row[column] for column in CLINICAL},
        )


def site(url: str) -> str:
    """Return where an image was published: the host of its address without ``www.``, or the collection itself.

    The images of the Hannover Medical School are recognised by their repository.
    """
    if hannover.REPOSITORY in url.lower():
        return hannover.SITE
    return host_and_path(url)[0] or Cohen.source
