"""Radiographs with lung masks: read from a folder with ``list.csv``, or drawn as phantoms."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detector import InputError
from detector.images import phantom
from detector.images.read import SIZE, decode, file_bytes, from_decoded

COLUMNS = ("file", "mask", "patient")


@dataclass(frozen=True)
class MaskedRadiograph:
    """A radiograph with its lung mask.

    Attributes
    ----------
    name : str
    patient : str
    pixels : ndarray of shape (224, 224, 3), uint8
    mask : ndarray of shape (height, width), bool
        As large as the image's file.
    """

    name: str
    patient: str
    pixels: np.ndarray
    mask: np.ndarray

    @property
    def lungs(self) -> np.ndarray:
        """Share of each of the network's pixels that is lung, shape (224, 224), float32 in [0, 1]."""
        return cv2.resize(self.mask.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def read_folder(folder: Path) -> list[MaskedRadiograph]:
    """Read the radiographs that ``list.csv`` of a folder lists, from its ``images`` and ``masks``.

    Parameters
    ----------
    folder : Path
        ``list.csv`` has the columns file, mask and patient.

    Returns
    -------
    list of MaskedRadiograph
        In the order of the list.

    Raises
    ------
    InputError
        If the list or a file that it names is missing or cannot be read.
    """
    table = folder / "list.csv"
    if not table.is_file():
        raise InputError(f"{folder} has no list.csv with the columns {', '.join(COLUMNS)}")
    with table.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise InputError(f"{table} has no column {', '.join(missing)}")
        return [_read(folder, row) for row in reader]


def _read(folder: Path, row: dict[str, str]) -> MaskedRadiograph:
    paths = folder / "images" / row["file"], folder / "masks" / row["mask"]
    image, mask = (decode(file_bytes(path), path) for path in paths)
    grey = mask.pixels if mask.pixels.ndim == 2 else mask.pixels.max(axis=2)
    height, width = image.pixels.shape[:2]
    marked = cv2.resize((grey > 127).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return MaskedRadiograph(row["file"], row["patient"], from_decoded(image, "").pixels, marked)


def phantoms(count: int) -> list[MaskedRadiograph]:
    """Draw phantoms, whose lungs are known exactly; every other one has opacities."""
    drawn = []
    for seed in range(count):
        image, mask = phantom.draw(seed % 2 == 0, seed), phantom.draw_lungs(seed)
        pixels = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        drawn.append(MaskedRadiograph(f"phantom {seed}", str(seed), np.repeat(pixels[..., None], 3, axis=2), mask))
    return drawn
