"""The SIIM-FISABIO-RSNA COVID-19 Detection challenge: radiographs of BIMCV and RICORD, read by radiologists.

Reference: P. Lakhani, J. Mongan, C. Singhal et al., "The 2021 SIIM-FISABIO-RSNA Machine Learning COVID-19 Challenge:
Annotation and Standard Exam Classification of COVID-19 Chest Radiographs", Journal of Digital Imaging 36 (2023).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from detector import InputError
from detector.collections.boxes import as_cell, in_fractions, parse_listed
from detector.collections.record import Convention, ImageRecord, require_inside
from detector.files.tables import Row, columns_of, read_table, simple
from detector.files.values import number
from detector.images import dicom_header
from detector.images.listing import is_dicom_file

SOURCE = "siim-covid19-detection"
STUDIES, IMAGES, SIZES = "train_study_level.csv", "train_image_level.csv", "meta.csv"
LOOKED_FOR = f"{STUDIES} and {IMAGES}"
TYPICAL, NEGATIVE = "Typical Appearance", "Negative for Pneumonia"
LABELS = (NEGATIVE, TYPICAL, "Indeterminate Appearance", "Atypical Appearance")
NEEDED_STUDIES = ("id", *LABELS)
NEEDED_IMAGES = ("id", "boxes", "StudyInstanceUID")
LICENCE = "BIMCV research use; no copies"
URL = "https://www.kaggle.com/c/siim-covid19-detection"
FOLDER = "train"
UNKNOWN_STUDY, NO_LABEL = "of a study that is not listed", "of a study without a label"
CONVENTION = Convention(
    TYPICAL,
    (NEGATIVE,),
    (),
    True,
    "The labels are a radiologist's reading of the radiograph, not a PCR result.",
)


def is_here(folder: Path) -> bool:
    """Return whether a folder holds the challenge's tables."""
    return simple(NEGATIVE) in columns_of(folder / STUDIES) and "studyinstanceuid" in columns_of(folder / IMAGES)


def read(folder: Path) -> list[ImageRecord]:
    """Return the images that the tables list; what stands in their headers is read by `complete`.

    Raises
    ------
    InputError
        If a table lacks a column, gives a study two labels, or has a box that is none.
    """
    studies = labels(read_table(folder / STUDIES, NEEDED_STUDIES, SOURCE), folder / STUDIES)
    rows = read_table(folder / IMAGES, NEEDED_IMAGES, SOURCE)
    return entries(rows, folder / IMAGES, studies, locate(folder))


def labels(rows: Iterable[Row], table: Path) -> dict[str, str]:
    """Return the label of each study; empty where none is 1.

    Raises
    ------
    InputError
        If a study has two labels, or one is neither 0 nor 1.
    """
    found: dict[str, str] = {}
    for row in rows:
        study = row["id"].removesuffix("_study")
        marked = []
        for label in LABELS:
            value = number(row[label] or "0")
            if value not in (0.0, 1.0):
                raise InputError(f"{table}, line {row.line}: {label} is {row[label]!r}, neither 0 nor 1; correct it")
            marked += [label] if value else []
        if len(marked) > 1:
            raise InputError(f"{table}, line {row.line}: study {study} has two labels, {' and '.join(marked)}")
        label = marked[0] if marked else ""
        if found.setdefault(study, label) != label:
            raise InputError(f"{table}, line {row.line}: study {study} is listed before with another label")
    return found


def entries(
    rows: Iterable[Row], table: Path, studies: Mapping[str, str], where: Mapping[str, PurePosixPath]
) -> list[ImageRecord]:
    """Return the images, given the label of each study and where each image lies, by its id.

    Raises
    ------
    InputError
        If an image is listed under two studies, or has a box that is none.
    """
    found: dict[str, ImageRecord] = {}
    for row in rows:
        name, study = row["id"].removesuffix("_image"), row["StudyInstanceUID"].removesuffix("_study")
        if name in found:
            if found[name].patient != study:
                raise InputError(f"{table}, line {row.line}: image {name} is listed under two studies; remove one line")
            continue
        try:
            drawn = parse_listed(row["boxes"])
        except ValueError as error:
            raise InputError(f"{table}, line {row.line}: image {name} {error}; correct it") from None
        label = studies.get(study)
        path = where.get(name, PurePosixPath(FOLDER, f"{name}.dcm"))
        found[name] = ImageRecord(
            f"{table.name}, line {row.line}",
            path.parent.as_posix(),
            path.name,
            study,
            "",
            label or "",
            SOURCE,
            SOURCE,
            LICENCE,
            URL,
            unknown=UNKNOWN_STUDY if label is None else "" if label else NO_LABEL,
            pixel_boxes=drawn,
        )
    return list(found.values())


def locate(folder: Path) -> dict[str, PurePosixPath]:
    """Return where each image lies, by its id: ``train/STUDY/SERIES/IMAGE.dcm``, or copies such as ``train/IMAGE.png``.

    Of several files of an image the DICOM file is taken.
    """
    found: dict[str, PurePosixPath] = {}
    root = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    for inner, folders, names in os.walk(root):
        folders.sort()
        below = PurePosixPath(Path(inner).relative_to(folder).as_posix())
        for name in sorted(names):
            stem = Path(name).stem.removesuffix("_image")
            if not name.startswith(".") and (stem not in found or name.lower().endswith(".dcm")):
                found[stem] = below / name
    return found


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the width and height of the original images, by id, from ``meta.csv``; none where there is none."""
    if not {"imageid", "dim0", "dim1"} <= columns_of(folder / SIZES):
        return {}
    found = {}
    for row in read_table(folder / SIZES, ("image_id", "dim0", "dim1"), SOURCE):
        height, width = number(row["dim0"]), number(row["dim1"])
        if height and width and min(height, width) >= 1:
            found[row["image_id"].removesuffix("_image")] = int(width), int(height)
    return found


def completer(folder: Path) -> Callable[[ImageRecord], tuple[ImageRecord, list[str]]]:
    """Return what adds the header and the boxes to an entry, as `complete` does."""
    known = sizes(folder)
    return lambda entry: complete(folder, entry, known)


def complete(folder: Path, entry: ImageRecord, known: Mapping[str, tuple[int, int]]) -> tuple[ImageRecord, list[str]]:
    """Return an entry with what its DICOM header says, and its boxes in fractions of the original image.

    Parameters
    ----------
    folder : Path
    entry : ImageRecord
    known : mapping
        As `sizes` returns it.

    Returns
    -------
    entry : ImageRecord
    notes : list of str
        What to say of its boxes.
    """
    path = folder / require_inside(entry)
    size = known.get(entry.path.stem, (0, 0))
    if is_dicom_file(path):
        found = dicom_header.read(path)
        clinical = {name: value for name, value in (("age", found.age), ("sex", found.sex)) if value}
        entry = replace(
            entry, patient=found.patient or entry.patient, view=found.view, clinical={**entry.clinical, **clinical}
        )
        size = found.width, found.height
    if not entry.pixel_boxes or not all(size):
        return entry, []
    drawn, notes = in_fractions(entry.pixel_boxes, *size)
    return replace(entry, boxes=as_cell(drawn)), notes


def notes(folder: Path, listed: Sequence[ImageRecord]) -> list[str]:
    """Return what to say of the tables and the files: studies without images, what stands for the patient, boxes."""
    said = []
    with_image = {entry.patient for entry in listed}
    studies = {row["id"].removesuffix("_study") for row in read_table(folder / STUDIES, NEEDED_STUDIES, SOURCE)}
    if lonely := studies - with_image:
        said.append(f"{len(lonely)} {'study has' if len(lonely) == 1 else 'studies have'} no image")
    copies = [entry for entry in listed if not is_dicom_name(entry.filename)]
    if copies:
        said.append(
            f"{len(copies)} images are copies without a DICOM header: the study stands for the patient, and patients "
            "may have several studies; give --patients CSV (columns file and patient) if you know them"
        )
        boxed = [entry for entry in copies if entry.pixel_boxes]
        if boxed and not sizes(folder):
            said.append(
                f"the boxes of {len(boxed)} images are not written: the size of the originals is not known; put "
                f"{SIZES} (columns image_id, dim0 = height, dim1 = width) beside the tables"
            )
    return said


def is_dicom_name(name: str) -> bool:
    """Return whether a file name is that of a DICOM file."""
    return Path(name).suffix.lower() in (".dcm", ".dicom", "")
