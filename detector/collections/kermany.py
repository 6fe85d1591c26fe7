"""D. S. Kermany's chest radiographs of children, as Kaggle distributes them ("Chest X-Ray Images (Pneumonia)").

Reference: D. Kermany, K. Zhang, M. Goldbaum, "Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for
Classification", Mendeley Data (2018), CC BY 4.0. Its third version has other file names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection as Names
from pathlib import Path

from detector.collections.record import DOCUMENTED, OTHER_NAME, Collection, ImageRecord
from detector.images.listing import list_images

# What a file name says of a pneumonia.
KINDS = {"virus": "Pneumonia/Viral", "bacteria": "Pneumonia/Bacterial"}
CLASSES = {"NORMAL": "No Finding", "PNEUMONIA": "Pneumonia"}
NAMES = (
    re.compile(r"(?:NORMAL2-)?IM-(\d{4})-\d{4}(?:-\d{4})?\.jpeg", re.ASCII),
    re.compile(r"(person\d+)_(?:virus|bacteria)_\d+(?:_\d+)?\.jpeg", re.ASCII),
    # The third version, at Mendeley Data.
    re.compile(r"(?:NORMAL|VIRUS|BACTERIA)-(\d+)-\d{4}\.jpeg", re.ASCII),
)


class Kermany(Collection):
    """Known by its file names: ``train/NORMAL`` is a folder of many data sets.

    Patients of one to five years, Guangzhou Women and Children's Medical Center; views are not given.
    """

    source = "chest-xray-pneumonia"
    handle = "paultimothymooney/chest-xray-pneumonia"  # by which kagglehub fetches it
    url = "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia"
    licence = "CC BY 4.0"
    looked_for = "train/NORMAL with files such as IM-0115-0001.jpeg, train/PNEUMONIA with person1_virus_6.jpeg"
    words = (("normal", "No Finding"), *KINDS.items())
    parts = ("train", "test", "val")
    part = "train"
    are_children = True
    one_per_patient = True
    columns = ()

    def is_here(self, folder: Path) -> bool:
        """Return whether the names below ``train``, ``test`` and ``val`` are those of the data set."""
        walked = (inner for part in parts_of(folder).values() for inner in os.walk(part))
        return documented([name for _, _, names in walked for name in names if not name.startswith(".")])

    def read(self, folder: Path, part: str = "") -> list[ImageRecord]:
        """Return the images of every part, or of one."""
        return [
            ImageRecord(
                path.name,
                path.parent.relative_to(folder).as_posix(),
                path.name,
                patient(path.name) or "",
                "",
                finding_of(path),
                unknown="" if patient(path.name) else OTHER_NAME,
            )
            for name, inner in parts_of(folder).items()
            if part in ("", name)
            for path in list_images(inner).images
        ]


def documented(names: Names[str]) -> bool:
    """Return whether nearly all of some file names are those of the data set."""
    return sum(patient(name) is not None for name in names) >= max(1.0, DOCUMENTED * len(names))


def patient(name: str) -> str | None:
    """Return the patient that a file name of the data set contains, or None.

    Such as ``NORMAL2-IM-1179-0001.jpeg`` (1179), ``person101_virus_187.jpeg`` (person101) or, in the version at
    Mendeley Data, ``BACTERIA-1008087-0001.jpeg`` (1008087). Only whole names count, with the suffix that the data set
    has: programs that export DICOM name files ``IM-0001-0001.dcm`` or ``.jpg``.
    """
    return next((match[1] for pattern in NAMES if (match := pattern.fullmatch(name))), None)


def finding_of(path: Path) -> str:
    """Return what an image shows: the kind of pneumonia in its name, or else its folder's class."""
    kind = re.search(r"_(virus|bacteria)_|^(VIRUS|BACTERIA)-", path.name)
    return KINDS[(kind[1] or kind[2]).lower()] if kind else CLASSES.get(path.parent.name, path.parent.name)


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the folder of each part, the outermost of several: the zip holds nested copies of the data set."""
    inner = (
        folder / nested / part for nested in ("chest_xray/chest_xray", "chest_xray", ".") for part in Kermany.parts
    )
    return {path.name: path for path in inner if path.is_dir()}
