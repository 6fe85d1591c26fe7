"""Images without the lungs, images with nothing but the lungs, and the lungs' outline alone.

Reference for the experiment: G. Maguolo, L. Nanni, "A critic evaluation of methods for COVID-19 automatic detection
from X-ray images", Information Fusion 76 (2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.images.lungs import surroundings
from detector.images.radiographs import SIZE, SUFFIXES, decode, file_bytes

WITHOUT_LUNGS, LUNGS_ONLY, OUTLINE = "around both lungs", "lungs only", "outline"
SHAPES_APART = 0.02  # relative difference of width over height that rounding may make
SUFFIX = "_mask"  # that the collection's lung masks have after the image's stem


@dataclass(frozen=True)
class Occlusion:
    """What is hidden of each image.

    Attributes
    ----------
    part : {"around both lungs", "lungs only", "outline"}
        What is shown. Around the lungs is what lies well outside of both and of what is between them: a mask's edge
        follows the disease, and leaves out what is behind the heart. The outline is the mask itself, white on black.
    files : mapping of str to Path, optional
        Lung masks by the image's stem; by default lungs are where the lung decoder finds them.
    """

    part: str
    files: Mapping[str, Path] | None = None

    def apply(self, pixels: np.ndarray, lungs: np.ndarray) -> np.ndarray:
        """Return the image with the hidden part black.

        Parameters
        ----------
        pixels : ndarray of shape (224, 224, 3), uint8
        lungs : ndarray of shape (224, 224), bool

        Returns
        -------
        ndarray of the same shape and type
        """
        if self.part == OUTLINE:
            return np.repeat(np.where(lungs, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
        return pixels * self.visible(lungs)[..., None]

    def visible(self, lungs: np.ndarray) -> np.ndarray:
        """Return where something is shown, (224, 224), bool, given the lungs."""
        if self.part == OUTLINE:
            return np.ones_like(lungs)
        return lungs if self.part == LUNGS_ONLY else ~surroundings(lungs)


def read_mask(path: Path) -> np.ndarray:
    """Read a lung mask.

    Returns
    -------
    ndarray of shape (224, 224), bool
        True on the lungs.

    Raises
    ------
    InputError
        If the file is no image, or marks nothing or everything.
    """
    import cv2

    pixels = decode(file_bytes(path), path).pixels
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    marked = cv2.resize((grey > grey.max() / 2).astype(np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 0
    if not marked.any() or marked.all():
        raise InputError(f"{path} marks no lungs: it is of one colour")
    return marked


def find_masks(folder: Path, images: Iterable[Path]) -> dict[str, Path]:
    """Find the lung masks of images: files of the same stem, with or without ``_mask`` after it.

    Returns
    -------
    dict of str to Path
        By the image's stem; without those that have no mask.

    Raises
    ------
    InputError
        If `folder` is none or holds no mask of any.
    """
    if not folder.is_dir():
        raise InputError(f"--masks {folder} is not a folder")
    # Kaggle's Radiography Database has a folder of masks for each class.
    listed = sorted([*folder.iterdir(), *folder.glob("*/masks/*")])
    files = {path.stem: path for path in listed if path.suffix.lower() in SUFFIXES}
    found = {}
    for image in images:
        for stem in (image.stem, image.stem + SUFFIX):
            if stem in files:
                found[image.stem] = files[stem]
    if not found:
        raise InputError(
            f"--masks {folder} holds no mask of any image; a mask is named as its image, or with {SUFFIX} on"
        )
    return found


def require_same_shape(masks: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]]) -> None:
    """Reject masks that have another shape than their image: they are of another image, or of a part of it.

    Parameters
    ----------
    masks : mapping of str to Path
        By the image's stem.
    sizes : mapping of str to (int, int)
        Width and height of each image, in pixels. A mask may be smaller or larger, not wider or taller in proportion.

    Raises
    ------
    InputError
    """
    for stem, path in masks.items():
        height, width = decode(file_bytes(path), path).pixels.shape[:2]
        wide, high = sizes[stem]
        if abs(width * high / (height * wide) - 1) > SHAPES_APART:
            raise InputError(
                f"{path} is {width} x {height} pixels, its image {wide} x {high}: a mask has its image's shape"
            )
