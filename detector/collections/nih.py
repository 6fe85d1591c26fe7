"""NIH ChestX-ray14: adults and children of one hospital, with and without findings, in full or as Kaggle's sample.

Reference: X. Wang, Y. Peng, L. Lu et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks", CVPR 2017.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from detector import InputError
from detector.collections.record import ImageRecord, names_finding
from detector.files.tables import Row, columns_of, read_table
from detector.files.values import age_cell

SOURCE = "nih-chest-xrays"
TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv", "sample_labels.csv")
LOOKED_FOR = " or ".join(TABLES)
NEEDED = ("Image Index", "Finding Labels", "Patient ID")
LICENCE = "free to use, cite Wang et al. 2017"
URL = "https://nihcc.app.box.com/v/ChestXray-NIHCC"
ARE_CHILDREN = False


_NAME = re.compile(r"(\d{8})_\d{3}\.png", re.ASCII)


def patient(name: str) -> str | None:
    """Return the patient that a file name of the data set contains (``00001335_006.png``: 1335), or None."""
    match = _NAME.fullmatch(name)
    return str(int(match[1])) if match else None


def is_here(folder: Path) -> bool:
    """Return whether a folder holds the data set or Kaggle's sample of it."""
    return any("imageindex" in columns_of(folder / name) for name in TABLES)


def read(folder: Path, finding: str, split: str = "train") -> list[ImageRecord]:
    """Return the images of a finding that are there.

    Parameters
    ----------
    folder : Path
    finding : str
        ``normal`` is "No Finding"; else one of the labels, of which an image may have several, separated by ``|``.
    split : str
        Has no meaning here.

    Returns
    -------
    list of ImageRecord

    Raises
    ------
    InputError
        If the table lacks a column, or lists an image under two patients.
    """
    table = next(folder / name for name in TABLES if (folder / name).exists())
    return entries(read_table(table, NEEDED, SOURCE), table, locate(folder), finding)


def entries(rows: Sequence[Row], table: Path, where: Mapping[str, str], finding: str) -> list[ImageRecord]:
    """Return the images of a finding, given the table's rows and the folder of each image that is there.

    Raises
    ------
    InputError
        If an image is listed under two patients, or no image has such a label.
    """
    wanted = "No Finding" if finding.lower() == "normal" else finding
    found: dict[str, ImageRecord] = {}
    for row in rows:
        name = row["Image Index"]
        if not names_finding(row["Finding Labels"], wanted) or name not in where:
            continue
        if name in found and found[name].patient != row["Patient ID"]:
            raise InputError(f"{table}, line {row.line}: {name} is listed under two patients; correct or remove one")
        found[name] = ImageRecord(
            f"{table.name}, line {row.line}",
            where[name],
            name,
            row["Patient ID"],
            row["View Position"],
            row["Finding Labels"],
            SOURCE,
            SOURCE,
            LICENCE,
            URL,
            clinical={"age": age_cell(row["Patient Age"]), "sex": row["Patient Gender"].upper()},
        )
    if not found and not any(names_finding(row["Finding Labels"], wanted) for row in rows):
        labels = sorted({label for row in rows for label in row["Finding Labels"].split("|")})
        raise InputError(f"--finding {finding} is no label of {table}; it has {', '.join(labels[:20])}")
    return list(found.values())


def locate(folder: Path) -> dict[str, str]:
    """Return where each image file lies, by name: in ``images*``, or ``images*/images`` as the archives unpack."""
    where: dict[str, str] = {}
    for outer in sorted(folder.iterdir()):
        for inner in (outer, outer / "images"):
            if (outer.name.startswith("images") or outer.name == "sample") and inner.is_dir():
                with os.scandir(inner) as listing:
                    where |= {file.name: inner.relative_to(folder).as_posix() for file in listing}
    return where
