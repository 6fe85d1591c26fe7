"""The SIIM-FISABIO-RSNA COVID-19 Detection challenge: radiographs of BIMCV and RICORD, read by radiologists.

Reference: P. Lakhani, J. Mongan, C. Singhal et al., "The 2021 SIIM-FISABIO-RSNA Machine Learning COVID-19 Challenge:
Annotation and Standard Exam Classification of COVID-19 Chest Radiographs", Journal of Digital Imaging 36 (2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from detector.collections.boxes import parse_listed
from detector.collections.record import Collection, ImageRecord, locate
from detector.files.tables import columns_of, read_table, simple
from detector.files.values import number

STUDIES, IMAGES, SIZES = "train_study_level.csv", "train_image_level.csv", "meta.csv"
TYPICAL, NEGATIVE = "Typical Appearance", "Negative for Pneumonia"
LABELS = (NEGATIVE, TYPICAL, "Indeterminate Appearance", "Atypical Appearance")


class Siim(Collection):
    """The DICOM images, or copies of them in another format, for which the study stands for the patient."""

    source = "siim-covid19-detection"
    url = "https://www.kaggle.com/c/siim-covid19-detection"
    licence = "BIMCV research use; no copies"
    looked_for = f"{STUDIES} and {IMAGES}"
    positive = TYPICAL
    controls = (NEGATIVE,)
    one_per_patient = True
    reads_headers = True

    def is_here(self, folder: Path) -> bool:
        """Return whether a folder holds the challenge's tables."""
        return simple(NEGATIVE) in columns_of(folder / STUDIES) and "studyinstanceuid" in columns_of(folder / IMAGES)

    def read(self, folder: Path, part: str = "") -> Iterator[ImageRecord]:
        """Yield the images that the tables list."""
        # The label of each study; empty where none is 1.
        studies = {
            row["id"].removesuffix("_study"): next((label for label in LABELS if number(row[label]) == 1), "")
            for row in read_table(folder / STUDIES, ("id", *LABELS))
        }
        sizes: dict[str, tuple[int, int]] = {}  # width and height of the original images
        if {"imageid", "dim0", "dim1"} <= columns_of(folder / SIZES):
            for row in read_table(folder / SIZES, ("image_id", "dim0", "dim1")):
                width, height = number(row["dim1"]) or 0, number(row["dim0"]) or 0
                sizes[row["image_id"].removesuffix("_image")] = int(width), int(height)
        where = {name.removesuffix("_image"): path for name, path in locate(folder).items()}
        for row in read_table(folder / IMAGES, ("id", "boxes", "StudyInstanceUID")):
            name, study = row["id"].removesuffix("_image"), row["StudyInstanceUID"].removesuffix("_study")
            path, label = where.get(name, PurePosixPath("train", f"{name}.dcm")), studies.get(study, "")
            yield ImageRecord(
                row.where,
                path.parent.as_posix(),
                path.name,
                study,
                "",
                label,
                unknown="" if label else "of a study without a label",
                boxes=parse_listed(row["boxes"], f"{row.where}: image {name}"),
                size=sizes.get(name, (0, 0)),
            )

    def notes(self, folder: Path, entries: Sequence[ImageRecord]) -> list[str]:
        """Return what to say of the labels, of what stands for the patient, and of boxes."""
        said = ["the labels are a radiologist's reading of the radiograph, not a PCR result"]
        copies = [entry for entry in entries if Path(entry.filename).suffix.lower() not in (".dcm", ".dicom", "")]
        if copies:
            said.append(
                f"{len(copies)} images are copies without a DICOM header: the study stands for the patient, and "
                "patients may have several studies; give --patients CSV (columns file and patient) if you know them"
            )
        if boxed := [entry for entry in copies if entry.boxes and not all(entry.size)]:
            said.append(
                f"the boxes of {len(boxed)} images are not written: the size of the originals is not known; put "
                f"{SIZES} (columns image_id, dim0 = height, dim1 = width) beside the tables"
            )
        return said
