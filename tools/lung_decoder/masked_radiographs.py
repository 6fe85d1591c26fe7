"""Radiographs with lung masks, read from a folder with ``list.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detector.images.read import SIZE, decode, file_bytes, from_decoded


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
    """Read the radiographs that ``list.csv`` lists (columns file, mask, patient), from ``images`` and ``masks``."""
    with (folder / "list.csv").open(newline="", encoding="utf-8") as lines:
        return [_read(folder, row) for row in csv.DictReader(lines)]


def _read(folder: Path, row: dict[str, str]) -> MaskedRadiograph:
    paths = folder / "images" / row["file"], folder / "masks" / row["mask"]
    image, mask = (decode(file_bytes(path), path) for path in paths)
    grey = mask.pixels if mask.pixels.ndim == 2 else mask.pixels.max(axis=2)
    height, width = image.pixels.shape[:2]
    marked = cv2.resize((grey > 127).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return MaskedRadiograph(row["file"], row["patient"], from_decoded(image, "").pixels, marked)
