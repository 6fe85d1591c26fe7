"""Images without the lungs, images with nothing but the lungs.

Reference for the experiment: G. Maguolo, L. Nanni, "A critic evaluation of methods for COVID-19 automatic detection
from X-ray images", Information Fusion 76 (2021).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.images.radiographs import SIZE, SUFFIXES, decode, file_bytes
from detector.storage.files import sha256

# A centred box of this share of width and height holds the lungs of nearly every frontal radiograph.
BOX = 0.8
SUFFIX = "_mask"  # that the collection's lung masks have after the image's stem


@dataclass(frozen=True)
class Occlusion:
    """What is hidden of each image.

    Attributes
    ----------
    keep_lungs : bool
        Hide all but the lungs, or hide the lungs.
    masks : dict of str to Path, or None
        Lung masks by the image's stem; None takes a centred box for the lungs.
    """

    keep_lungs: bool
    masks: dict[str, Path] | None = None

    def name(self, path: Path) -> str:
        """Return what tells this occlusion of an image from any other."""
        what = f"box {BOX}" if self.masks is None else f"mask {sha256(self.masks[path.stem])}"
        return f"{'only' if self.keep_lungs else 'without'} lungs, {what}"

    def apply(self, pixels: np.ndarray, path: Path) -> np.ndarray:
        """Return the image with the hidden part black.

        Parameters
        ----------
        pixels : ndarray of shape (224, 224, 3), uint8
        path : Path
            The image's file, whose stem names its mask.

        Returns
        -------
        ndarray of the same shape and type
        """
        lungs = box() if self.masks is None else read_mask(self.masks[path.stem])
        shown = lungs if self.keep_lungs else ~lungs
        return pixels * shown[..., None]


def box() -> np.ndarray:
    """Return the centred box as a mask, shape (224, 224), bool."""
    mask = np.zeros((SIZE, SIZE), bool)
    margin = round(SIZE * (1.0 - BOX) / 2)
    mask[margin:-margin, margin:-margin] = True
    return mask


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
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
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
