"""The RSNA Pneumonia Detection Challenge: DICOM images that radiologists read anew, chosen from NIH ChestX-ray14.

Reference: G. Shih, C. C. Wu, S. S. Halabi et al., "Augmenting the National Institutes of Health Chest Radiograph
Dataset with Expert Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 1 (2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from detector import InputError
from detector.collections.boxes import KEYS, Box, as_cell, checked, in_fractions
from detector.collections.record import ImageRecord, require_inside
from detector.files.tables import Row, columns_of, read_table, simple
from detector.images import dicom_header

SOURCE = "rsna-pneumonia-detection-challenge"
TABLE = "stage_2_detailed_class_info.csv"
IMAGES = "stage_2_train_images"
LOOKED_FOR = TABLE
NEEDED = ("patientId", "class")
LICENCE = "see the challenge's rules; non-commercial"
URL = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge"
ARE_CHILDREN = False
SIDE = 1024  # of every image of the challenge, in pixels


BOXES = "stage_2_train_labels.csv"
NEEDED_BOXES = ("patientId", "x", "y", "width", "height", "Target")


def boxes_of(rows: Iterable[Row], table: Path) -> dict[str, tuple[Box, ...]]:
    """Return the boxes of each image, in pixels.

    Raises
    ------
    InputError
        If a box is none.
    """
    found: dict[str, tuple[Box, ...]] = {}
    for row in rows:
        if row["Target"] not in ("1", "1.0"):
            continue
        try:
            box = checked(*(row[key] for key in KEYS))
        except ValueError as error:
            raise InputError(f"{table}, line {row.line}: {row['patientId']} {error}; correct it") from None
        found[row["patientId"]] = (*found.get(row["patientId"], ()), box)
    return found


def is_here(folder: Path) -> bool:
    """Return whether a folder holds the challenge's data."""
    return "patientid" in columns_of(folder / TABLE)


def read(folder: Path, finding: str, split: str = "train") -> list[ImageRecord]:
    """Return the images of a class; view, age and sex stand in their headers, which `with_header` reads.

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
        If the table lacks a column or has no such class, or gives an image two classes.
    """
    table = folder / TABLE
    drawn = folder / BOXES
    boxes = boxes_of(read_table(drawn, NEEDED_BOXES, SOURCE), drawn) if drawn.is_file() else {}
    return [
        replace(entry, pixel_boxes=boxes.get(entry.patient, ()))
        for entry in entries(read_table(table, NEEDED, SOURCE), table, finding)
    ]


def entries(rows: Iterable[Row], table: Path, finding: str) -> list[ImageRecord]:
    """Return the images of a class, given the table's rows.

    Raises
    ------
    InputError
        If an image has two classes, or none has this.
    """
    classes: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in rows:
        # An image has a row for each box that is drawn on it.
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
    """Return an entry with what its image's DICOM header says: view, age, sex.

    Raises
    ------
    InputError
        If the file is missing or no DICOM file.
    """
    found = dicom_header.read(folder / require_inside(entry))
    size = (found.width or SIDE, found.height or SIDE)
    boxes = as_cell(in_fractions(entry.pixel_boxes, *size)[0])
    return replace(entry, view=found.view, boxes=boxes, clinical={"age": found.age, "sex": found.sex})
