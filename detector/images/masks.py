"""What is shown of an image: its lungs, what is around them, a region, or a rotated copy."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from detector import InputError, counted
from detector.images.listing import SUFFIXES
from detector.images.lungs import ONE_LUNG, describe, surroundings, unpacked
from detector.images.read import MOST_NAMED, SIZE, decode, file_bytes

Rectangle = tuple[float, float, float, float]  # x, y, width, height in fractions of the image


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
    """Return the share of a heat map that lies in a region.

    Parameters
    ----------
    heat : ndarray of shape (cells, cells)
        Not negative; each cell is spread evenly over its pixels.
    region : ndarray of shape (size, size), bool
        The size is a multiple of the number of cells.

    Returns
    -------
    float
        In [0, 1]; 0 where the map is 0 everywhere.
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


DEGREES = 15.0


def angles(digest: str, copies: int, seed: int, degrees: float = DEGREES) -> list[float]:
    """Draw the angles by which an image is rotated.

    They depend on nothing but the image and the seed: not on the other images, nor on how many copies are asked for,
    so that more copies keep those that are computed already.

    Parameters
    ----------
    digest : str
        SHA-256 of the image, hexadecimal.
    copies : int
        How many angles.
    seed : int
    degrees : float, default=15.0
        Angles are uniform in ±`degrees`.

    Returns
    -------
    list of float
        In degrees, counter-clockwise.
    """
    generator = np.random.Generator(np.random.PCG64([seed, int(digest, 16)]))
    return [float(angle) for angle in generator.uniform(-degrees, degrees, copies)]


def rotate_mask(mask: np.ndarray, angle: float) -> np.ndarray:
    """Rotate a mask as `rotate` does an image, shape (height, width), bool."""
    return rotate(np.repeat(255 * mask[..., None].astype(np.uint8), 3, axis=2), angle)[..., 0] > 127


def rotate(pixels: np.ndarray, angle: float) -> np.ndarray:
    """Rotate an image about its centre; what comes in from outside repeats the border.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    angle : float
        In degrees, counter-clockwise; 0 returns the image as it is.

    Returns
    -------
    ndarray of the same shape and type
    """
    if angle == 0.0:
        return pixels
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


WITHOUT_LUNGS, LUNGS_ONLY, OUTLINE = "around both lungs", "lungs only", "outline"
SHAPES_APART = 0.02  # relative difference of width over height that rounding may make
LABELLED, MOST_LABELS = 0.01, 16  # share of a mask's pixels that a label has, and values of a file of labels
# Dice coefficient of a mask with the lungs found: at least, and by how much more it is of a mask that was turned.
OVERLAP, TURNED = 0.5, 0.05
SUFFIX = "_mask"  # that the collection's lung masks have after the image's stem


@dataclass(frozen=True)
class Occlusion:
    """What is hidden of each image.

    Attributes
    ----------
    part : {"around both lungs", "lungs only", "outline"}
        What is shown. Around the lungs is what lies well outside of both and of what is between them: a mask's edge
        follows the disease, and leaves out what is behind the heart. The outline is the mask itself, white on black.
    files : mapping of Path to Path, optional
        Lung masks by the image's path; by default lungs are where the lung decoder finds them.
    """

    part: str
    files: Mapping[Path, Path] | None = None

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
    """Reject masks that cannot be of the lungs of their images: inverted, turned, of one lung or of another image.

    Parameters
    ----------
    masks : mapping of Path to Path
        By image.
    found : iterable of (Path, ndarray of shape (224, 224), bool)
        Where the lung decoder finds the lungs of each image that has a mask.
    """
    problems = [
        f"{masks[image]}: {why}" for image, lungs in found if (why := _mismatch(read_mask(masks[image]), lungs))
    ]
    if problems:
        shown, more = problems[:MOST_NAMED], len(problems) - MOST_NAMED
        raise InputError(
            f"{len(problems)} of {counted(len(masks), 'lung mask')} cannot be used; correct or remove them:",
            shown + [f"and {more} more"] * (more > 0),
        )


def _mismatch(mask: np.ndarray, found: np.ndarray) -> str:
    """Say why a mask cannot be that of lungs which were found elsewhere; nothing where it can."""
    own, other = describe(mask), describe(found)
    if not own.found or own.warning == ONE_LUNG != other.warning:
        return own.warning
    if not other.found:
        return ""
    turned = [np.rot90(one, quarter) for one in (mask, mask[:, ::-1]) for quarter in range(4)]
    overlaps = [2 * (one & found).sum() / (one.sum() + found.sum()) for one in turned]
    if overlaps[0] < OVERLAP:
        overlap = f"it overlaps the lungs found in its image by {overlaps[0]:.0%}"
        return f"{own.warning}; {overlap}" if own.warning else overlap
    if max(overlaps) - overlaps[0] > TURNED:
        return "it fits the lungs found in its image better when it is turned or mirrored"
    return ""


def find_masks(folder: Path, images: Mapping[Path, str]) -> dict[Path, Path]:
    """Find the lung masks of images: files of the same stem, with or without ``_mask`` after it.

    A mask in a folder that is named as a class, or in a folder of masks in that, belongs to an image of this class; one
    elsewhere belongs to the only image of its name.

    Parameters
    ----------
    folder : Path
    images : mapping of Path to str
        The class of each image.

    Returns
    -------
    dict of Path to Path
        By image; without those that have no mask.
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
    found: dict[Path, Path] = {}
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
        if given:
            found[image] = given[0]
    if not found:
        raise InputError(
            f"--masks {folder} holds no mask of any image; a mask is named as its image, or with {SUFFIX} on"
        )
    return found


def require_same_shape(masks: Mapping[Path, Path], sizes: Mapping[Path, tuple[int, int]]) -> None:
    """Reject masks that have another shape than their image: they are of another image, or of a part of it.

    Parameters
    ----------
    masks : mapping of Path to Path
        By image.
    sizes : mapping of Path to (int, int)
        Width and height of each image, in pixels. A mask may be smaller or larger, not wider or taller in proportion.
    """
    for image, path in masks.items():
        height, width = decode(file_bytes(path), path).pixels.shape[:2]
        wide, high = sizes[image]
        if abs(width * high / (height * wide) - 1) > SHAPES_APART:
            raise InputError(
                f"{path} is {width} x {height} pixels, its image {wide} x {high}: a mask has its image's shape"
            )


@dataclass(frozen=True)
class NetworkInput:
    """What the base is to see of one image file; plain values, so that another machine can make it, too.

    Attributes
    ----------
    path : Path
    digest : str
        SHA-256 of the file.
    angle : float
        Rotation in degrees.
    occlusion : str
        Names what is hidden, and by which mask; empty for nothing.
    part : str
        What is shown, as `Occlusion` has it; empty for everything.
    mask : bytes
        The lungs, as `lungs.packed` returns them; empty where nothing is hidden.
    """

    path: Path
    digest: str
    angle: float = 0.0
    occlusion: str = ""
    part: str = ""
    mask: bytes = b""

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the base sees of the file's pixels, (224, 224, 3), uint8: a part of it black, then rotated."""
        if self.part:
            pixels = Occlusion(self.part).apply(pixels, unpacked(self.mask))
        return rotate(pixels, self.angle)

    def region(self) -> np.ndarray | None:
        """Return what is left of an image of which a part is hidden, (224, 224), bool; None of one that is whole.

        Pooling "inside the lungs" pools over it: a black part has no features of its own. The outline is an image of
        its own, of which nothing is hidden.
        """
        if not self.part:
            return None
        return rotate_mask(Occlusion(self.part).visible(unpacked(self.mask)), self.angle)
