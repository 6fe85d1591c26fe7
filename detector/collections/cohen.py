"""J. P. Cohen's COVID-19 image data collection, of any era.

Reference: J. P. Cohen, P. Morrison, L. Dao et al., "COVID-19 Image Data Collection: Prospective Predictions Are the
Future", arXiv:2006.11988 (2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from detector.collections import hannover
from detector.collections.record import CLINICAL, ImageRecord
from detector.files.tables import Row, columns_of, parse_table, read_table

SOURCE = "covid-chestxray-dataset"
METADATA = "metadata.csv"
METADATA_PATH = PurePosixPath(METADATA)
LOOKED_FOR = f"{METADATA} with the columns patientid and filename"
REPOSITORY = "https://github.com/ieee8023/covid-chestxray-dataset"
# The last commit that changed the collection's README: findings are written as paths by then.
COMMIT = "cec70df07d40383581484c70bb6ada1e6a2fc077"
BASE_URL = f"https://raw.githubusercontent.com/ieee8023/covid-chestxray-dataset/{COMMIT}"

NEEDED = ("patientid", "finding", "view", "filename")


def is_here(folder: Path) -> bool:
    """Return whether a folder is a copy of this collection."""
    return "filename" in columns_of(folder / METADATA)


def read(folder: Path) -> list[ImageRecord]:
    """Return the images that a local copy lists.

    Raises
    ------
    InputError
        If `metadata.csv` is missing or is not the collection's.
    """
    return list(entries(read_table(folder / METADATA, NEEDED, SOURCE)))


def parse_metadata(data: bytes, path: Path) -> list[ImageRecord]:
    """Return the images that the bytes of a `metadata.csv` list; `path` is what errors call it.

    Raises
    ------
    InputError
    """
    return list(entries(parse_table(data, path, NEEDED, SOURCE)))


def entries(rows: Iterable[Row]) -> Iterable[ImageRecord]:
    """Yield the image of each row.

    A file of the first eras has no column ``modality``; there a frontal view is an X-ray, and the view names CT.
    """
    for row in rows:
        yield ImageRecord(
            f"{METADATA}, line {row.line}",
            row["folder"] or "images",
            row["filename"],
            row["patientid"],
            row["view"],
            row["finding"],
            SOURCE,
            site(row["url"]),
            row["license"],
            row["url"],
            row["modality"] if "modality" in row.cells else "X-ray",
            may_share_file=True,
            clinical={column: row[column] for column in CLINICAL},
        )


def site(url: str) -> str:
    """Return where an image was published: the host of its address without ``www.``, or the collection itself.

    The images of the Hannover Medical School are recognised by their repository.

    Parameters
    ----------
    url : str

    Returns
    -------
    str
    """
    if hannover.REPOSITORY in url.lower():
        return hannover.SITE
    try:
        host = urlsplit(url.strip()).hostname or ""
    except ValueError:
        host = ""
    return host.removeprefix("www.") or SOURCE
