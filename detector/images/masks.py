"""What is shown of an image: its lungs, what is around them, a region, or a rotated copy."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from detector import InputError
from detector.images.listing import SUFFIXES
from detector.images.lungs import NO_LUNGS, ONE_LUNG, describe, surroundings, unpacked
from detector.images.raster import joined
from detector.images.read import SIZE, decode, file_bytes, name_all

Rectangle = tuple[float, float, float, float]  # x, y, width, height in fractions of the image
DEGREES = 15.0
WITHOUT_LUNGS, LUNGS_ONLY, OUTLINE = "around both lungs", "lungs only", "outline"
LABELLED, MOST_LABELS = 0.01, 16  # share of a mask's pixels that a label has, and values of a file of labels
# Dice coefficient of a mask with the lungs found: at least, and by how much more it is of a mask that was turned.
OVERLAP, TURNED = 0.5, 0.05
SUFFIX = "_mask"  # that the collection's lung masks have after the image's stem
MARKS = {NO_LUNGS: "the mask marks no lungs", ONE_LUNG: "the mask marks one lung only"}


def boxed(boxes: Iterable[Rectangle], size: int = SIZE) -> np.ndarray:
    """Return which pixels of a square image have their centre in a box, shape (size, size), bool."""
    centres = (np.arange(size) + 0.5) / size
    inside = np.zeros((size, size), bool)
    for x, y, width, height in boxes:
        columns, rows = (
            (start <= centres) & (centres <= start + length) for start, length in ((x, width), (y, height))
        )
        inside |= rows[:, None] & columns
    return inside


def share_inside(heat: np.ndarray, region: np.ndarray) -> float:
    """Return the share of a heat map that lies in a region, in [0, 1]; 0 where the map is 0 everywhere.

    Each cell of the map, which is not negative, is spread evenly over its pixels of the region, (size, size), bool; the
    size is a multiple of the number of cells.
    """
    cells, side = len(heat), len(region) // len(heat)
    covered = region.reshape(cells, side, cells, side).mean(axis=(1, 3))
    total = float(heat.sum())
    return float((heat * covered).sum()) / total if total > 0 else 0.0


def highest(heat: np.ndarray) -> tuple[float, float] | None:
    """Return the centre of a heat map's highest cell, x and y in fractions; None where it is 0 everywhere."""
    if heat.max() <= 0:
        return None
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return (float(column) + 0.5) / heat.shape[1], (float(row) + 0.5) / heat.shape[0]


def in_a_box(point: tuple[float, float], boxes: Iterable[Rectangle]) -> bool:
    """Say whether a point lies in one of some boxes, their borders included."""
    x, y = point
    return any(left <= x <= left + width and top <= y <= top + height for left, top, width, height in boxes)


def angles(digest: str, copies: int, seed: int) -> list[float]:
    """Draw the angles by which an image is rotated, counter-clockwise, uniform in ±`DEGREES`.

    They depend on nothing but the SHA-256 of the image and the seed: not on the other images, nor on how many copies
    are asked for, so that more copies keep those that are computed already.
    """
    generator = np.random.Generator(np.random.PCG64([seed, int(digest, 16)]))
    return generator.uniform(-DEGREES, DEGREES, copies).tolist()


def rotate_mask(mask: np.ndarray, angle: float) -> np.ndarray:
    """Rotate a mask as `rotate` does an image, shape (height, width), bool."""
    return rotate(np.repeat(255 * mask[..., None].astype(np.uint8), 3, axis=2), angle)[..., 0] > 127


def rotate(pixels: np.ndarray, angle: float) -> np.ndarray:
    """Rotate an image, (height, width, 3), uint8, counter-clockwise; what comes in from outside repeats the border."""
    if angle == 0.0:
        return pixels
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class Occlusion(NamedTuple):
    """What is shown of each image: `WITHOUT_LUNGS`, `LUNGS_ONLY` or `OUTLINE`; the rest is black.

    Around the lungs is what lies well outside of both and of what is between them: a mask's edge follows the disease,
    and leaves out what is behind the heart. The outline is the mask itself, white on black.
    """

    part: str
    files: Mapping[Path, Path] | None = None  # masks by image; None where the lung decoder finds the lungs


def read_mask(path: Path) -> np.ndarray:
    """Read a lung mask, (224, 224), bool: True on the lungs."""
    data = file_bytes(path)
    pixels = decode(data, path).pixels
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    if grey.min() == grey.max():
        raise InputError(f"{path} marks no lungs: it is of one colour")
    with suppress(OSError), Image.open(io.BytesIO(data)) as opened:  # a DICOM file has no labels
        values, counts = np.unique(np.asarray(opened), return_counts=True)
        # What lies between two values is mostly the border of a mask that was resized or compressed.
        if len(values) <= MOST_LABELS and sum(counts >= LABELLED * counts.sum()) > 2:
            raise InputError(f"{path} holds the values {', '.join(map(str, values))}; a lung mask has two: lung or not")
    return cv2.resize((grey > grey.max() / 2).astype(np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 0


def require_lung_masks(masks: Mapping[Path, Path], found: Iterable[tuple[Path, np.ndarray]]) -> None:
    """Reject masks, by image, that cannot be of its lungs: inverted, turned, of one lung or of another image.

    `found` has each image and where the lung decoder finds its lungs, (224, 224), bool.
    """
    problems = [
        f"{masks[image]}: {why}" for image, lungs in found if (why := _mismatch(read_mask(masks[image]), lungs))
    ]
    if problems:
        raise name_all(problems, len(masks), "lung mask")


def _mismatch(mask: np.ndarray, found: np.ndarray) -> str:
    """Say why a mask cannot be that of lungs which were found elsewhere; nothing where it can."""
    own, other = describe(mask), describe(found)
    said = MARKS.get(own.warning, own.warning)
    if not own.found or own.warning == ONE_LUNG != other.warning:
        return said
    if not other.found:
        return ""
    turned = [np.rot90(one, quarter) for one in (mask, mask[:, ::-1]) for quarter in range(4)]
    overlaps = [2 * (one & found).sum() / (one.sum() + found.sum()) for one in turned]
    if overlaps[0] < OVERLAP:
        return joined(said, f"it overlaps the lungs found in its image by {overlaps[0]:.0%}")
    if max(overlaps) - overlaps[0] > TURNED:
        return "it fits the lungs found in its image better when it is turned or mirrored"
    return ""


def find_masks(folder: Path, images: Mapping[Path, str]) -> dict[Path, Path]:
    """Find the lung masks of images, of which each has a class: files of the same stem, with or without ``_mask``.

    A mask in a folder that is named as a class, or in a folder of masks in that, belongs to an image of this class; one
    elsewhere belongs to the only image of its name. Images without a mask are left out.
    """
    if not folder.is_dir():
        raise InputError(f"--masks {folder} is not a folder")
    classes = {label.lower() for label in images.values()}
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    # Kaggle's Radiography Database has a folder of masks for each class, COVID-QU-Ex one of lung masks.
    for path in sorted({*folder.glob("*"), *folder.glob("*/*"), *folder.glob("*/*[mM]ask*/*")} - images.keys()):
        if path.suffix.lower() in SUFFIXES:
            first = path.relative_to(folder).parts[0].lower()
            files[path.stem.removesuffix(SUFFIX), first if first in classes else ""].append(path)
    image_of: dict[Path, Path] = {}
    for image, label in images.items():
        given = files[image.stem, label.lower()] or files[image.stem, ""]
        given = [path for path in given if path.stem.endswith(SUFFIX)] or given
        if len(given) > 1:
            raise InputError(f"--masks {folder}: {given[0]} and {given[1]} are both masks of {image}; keep one")
        if given and (other := image_of.setdefault(given[0], image)) != image:
            raise InputError(
                f"--masks {folder}: {given[0]} is named as {other} and as {image}; give each class a folder of masks"
            )
    found = {image: path for path, image in image_of.items()}
    if not found:
        raise InputError(
            f"--masks {folder} holds no mask of any image; a mask is named as its image, or with {SUFFIX} on"
        )
    return found


@dataclass(frozen=True)
class NetworkInput:
    """What the base is to see of one image file; plain values, so that another machine can make it, too."""

    path: Path
    digest: str  # SHA-256 of the file
    angle: float = 0.0  # rotation in degrees
    occlusion: str = ""  # names what is hidden, and by which mask; empty for nothing
    part: str = ""  # what is shown, as `Occlusion` has it; empty for everything
    mask: bytes = b""  # the lungs, as `lungs.packed` returns them; empty where nothing is hidden

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the base sees of the file's pixels, (224, 224, 3), uint8: a part of it black, then rotated."""
        if self.part == OUTLINE:
            pixels = np.full_like(pixels, 255) * unpacked(self.mask)[..., None]
        elif self.part:
            pixels = pixels * self._visible()[..., None]
        return rotate(pixels, self.angle)

    def _visible(self) -> np.ndarray:
        lungs = unpacked(self.mask)
        if self.part == OUTLINE:
            return np.ones_like(lungs)
        return lungs if self.part == LUNGS_ONLY else ~surroundings(lungs)

    def region(self) -> np.ndarray | None:
        """Return what is left of an image of which a part is hidden, (224, 224), bool; None of one that is whole.

        Pooling "inside the lungs" pools over it: a black part has no features of its own. The outline is an image of
        its own, of which nothing is hidden.
        """
        return rotate_mask(self._visible(), self.angle) if self.part else None
