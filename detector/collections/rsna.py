"""The RSNA Pneumonia Detection Challenge: DICOM images that radiologists read anew, chosen from NIH ChestX-ray14.

Reference: G. Shih, C. C. Wu, S. S. Halabi et al., "Augmenting the National Institutes of Health Chest Radiograph
Dataset with Expert Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 1 (2019).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from detector.collections.boxes import KEYS, Box, checked
from detector.collections.record import Collection, ImageRecord, locate
from detector.files.tables import columns_of, read_table

TABLE, BOXES = "stage_2_detailed_class_info.csv", "stage_2_train_labels.csv"


class Rsna(Collection):
    """The DICOM images, or copies of them in another format, which have neither view, age nor sex."""

    source = "rsna-pneumonia-detection-challenge"
    url = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge"
    licence = "see the challenge's rules; non-commercial"
    looked_for = TABLE
    one_per_patient = True
    columns = ()
    reads_headers = True

    def is_here(self, folder: Path) -> bool:
        """Return whether a folder holds the challenge's table."""
        return "patientid" in columns_of(folder / TABLE)

    def read(self, folder: Path, part: str = "") -> list[ImageRecord]:
        """Return the images of every class; in a header, too, each is of a patient of its own."""
        boxes: dict[str, list[Box]] = defaultdict(list)
        if (table := folder / BOXES).is_file():
            for row in read_table(table, ("patientId", *KEYS, "Target")):
                if row["Target"] in ("1", "1.0"):
                    boxes[row["patientId"]].append(
                        checked([row[key] for key in KEYS], f"{row.where}: {row['patientId']}")
                    )
        where = locate(folder)
        # An image has a row for each box that is drawn on it.
        found: dict[tuple[str, str], ImageRecord] = {}
        for row in read_table(folder / TABLE, ("patientId", "class")):
            name, label = row["patientId"], row["class"]
            path = where.get(name, PurePosixPath("stage_2_train_images", f"{name}.dcm"))
            found[name, label] = ImageRecord(
                row.where,
                path.parent.as_posix(),
                path.name,
                name,
                "",
                label,
                boxes=boxes[name],
                size=(1024, 1024),  # of every image of the challenge, in pixels
            )
        return list(found.values())
