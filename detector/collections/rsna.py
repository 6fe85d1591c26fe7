"""The RSNA Pneumonia Detection Challenge: DICOM films that radiologists read anew, chosen from NIH ChestX-ray14.

Reference: G. Shih, C. C. Wu, S. S. Halabi et al., "Augmenting the National Institutes of Health Chest Radiograph
Dataset with Expert Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 1 (2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from detector import InputError
from detector.collections.csv_table import Row, columns_of, read_table, simple
from detector.collections.image_record import ImageRecord, require_inside
from detector.collections.values import age_cell
from detector.images.dicom import header

SOURCE = "rsna-pneumonia-detection-challenge"
TABLE = "stage_2_detailed_class_info.csv"
IMAGES = "stage_2_train_images"
LOOKED_FOR = TABLE
NEEDED = ("patientId", "class")
LICENCE = "see the challenge's rules; non-commercial"
URL = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge"
ARE_CHILDREN = False


def is_here(folder: Path) -> bool:
    """Tell whether a folder holds the challenge's data."""
    return "patientid" in columns_of(folder / TABLE)


def read(folder: Path, finding: str, split: str = "train") -> list[ImageRecord]:
    """Return the films of a class; view, age and sex stand in their headers, which `with_header` reads.

    Parameters
    ----------
    folder : Path
    finding : str
        ``Normal``, ``Lung Opacity`` or ``No Lung Opacity / Not Normal``, in any case.
    split : str
        Has no meaning here.

    Returns
    -------
    list of ImageRecord

    Raises
    ------
    InputError
        If the table lacks a column or has no such class, or gives a film two classes.
    """
    table = folder / TABLE
    return entries(read_table(table, NEEDED, SOURCE), table, finding)


def entries(rows: Iterable[Row], table: Path, finding: str) -> list[ImageRecord]:
    """Return the films of a class, given the table's rows.

    Raises
    ------
    InputError
        If a film has two classes, or none has this.
    """
    classes: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in rows:
        # A film has a row for each box that is drawn on it.
        if classes.setdefault(row["patientId"], row["class"]) != row["class"]:
            raise InputError(f"{table}, line {row.line}: {row['patientId']} has two classes; correct or remove one")
        lines.setdefault(row["patientId"], row.line)
    known = sorted(set(classes.values()))
    if simple(finding) not in map(simple, known):
        raise InputError(f"--finding {finding} is no class of {table}; it has {', '.join(known)}")
    return [
        ImageRecord(
            f"{TABLE}, line {lines[name]}", IMAGES, f"{name}.dcm", name, "", label, SOURCE, SOURCE, LICENCE, URL
        )
        for name, label in classes.items()
        if simple(label) == simple(finding)
    ]


def with_header(folder: Path, entry: ImageRecord) -> ImageRecord:
    """Return an entry with what its film's DICOM header says: view, age, sex.

    Raises
    ------
    InputError
        If the file is missing or no DICOM file.
    """
    found = header(folder / require_inside(entry), ("PatientAge", "PatientSex", "ViewPosition"))
    clinical = {"age": age_cell(found["PatientAge"]), "sex": found["PatientSex"].upper()}
    return replace(entry, view=found["ViewPosition"], clinical=clinical)
