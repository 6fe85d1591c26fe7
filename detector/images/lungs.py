"""Lung masks: each lung's share of the image, and whether a mask, or an image, is plausible."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from detector.images.read import SIZE

# Lungs fill 9 to 61 % of the image in 298 human-reviewed masks (10 to 66 % in 895 masks of the decoder): more is
# doubtful, far less or far more is no lung.
LEAST, UNCERTAIN, MOST = 0.07, 0.6, 0.75
# A region below this share of the image is a speck, not a lung; one that is so much smaller than the largest is mostly
# gas in the stomach, or something beside the body.
SPECK, SMALLER = 0.005, 0.15
# Lungs that touch do so over less than this share of their height: 17 % at most in 895 masks, 30 % or more where a
# single region was marked in a lateral view.
WAIST = 0.25
# A single lung lies on one side: none of 1784 lungs reached further than 13 % of the width beyond the image's middle on
# its other side; the regions marked in lateral views reach 24 % or more to both sides.
ACROSS = 0.2
MARGIN = 0.08  # of the side: scatter carries what is in the lungs some centimetres beyond them
NO_LUNGS, ONE_LUNG = "no lungs were found", "one lung only was found"
INVERTED = "bright where lungs are dark: is it inverted?"
UPSIDE_DOWN = "brighter above the lungs than below: is it upside down?"
SEEMINGLY_UPSIDE_DOWN = "seemingly upside down"
GROUPS = {ONE_LUNG: "with one lung only", INVERTED: "seemingly inverted", UPSIDE_DOWN: SEEMINGLY_UPSIDE_DOWN}
# Mean difference of the largest and the smallest colour channel, of 255. A grey image has 0, a radiograph with coloured
# marks or a tint stored as JPEG below 10.
MOST_COLOUR = 24.0
BRIGHTER = 0.1  # of the grey range: by so much the sides of an inverted image are brighter than its middle
BELOW = -0.2  # standard deviations: an upright image is not darker by more in its lower quarter than in its upper one
CELLS = 7  # rows and columns of the coarse shape: as many as VGG16's last map has
SMOOTH = 1.0  # pixels: deviation of the Gaussian that takes the steps from an enlarged border


@dataclass(frozen=True)
class Lungs:
    """The lungs that a mask marks."""

    right: float  # each lung's share of the image, 0…1; the patient's right is on the left of the image
    left: float
    warning: str  # why the mask is implausible; empty for most
    found: bool  # whether lungs were found at all


def describe(mask: np.ndarray) -> Lungs:
    """Return each lung's share of the image, and whether a mask, True on the lungs, is plausible."""
    right, left = shares(mask)
    smaller, larger = sorted((right, left))
    total, is_one = float(mask.mean()), smaller < SMALLER * larger
    if total > UNCERTAIN:
        warning, found = f"{total:.0%} of the image is marked as lung, more than lungs mostly are", total <= MOST
    elif right + left < LEAST or (is_one and _lies_across(mask)):
        warning, found = NO_LUNGS, False
    elif is_one:
        warning, found = ONE_LUNG, True
    else:
        warning, found = "", True
    return Lungs(right, left, warning, found)


def shares(mask: np.ndarray) -> tuple[float, float]:
    """Return the shares of the image that the lungs on its left and on its right fill; specks do not count.

    The mask is cut where it is narrowest near its middle: in the gap, or where lungs touch. Where it has no waist it is
    a single lung, on the side of the image on which its middle lies.
    """
    columns = refined(mask).sum(axis=0)
    marked = np.flatnonzero(columns)
    if not len(marked):
        return 0.0, 0.0
    first, last = marked[0], marked[-1] + 1
    quarter = (last - first) // 4
    middle = columns[first + quarter : max(last - quarter, first + quarter + 1)]
    # Of columns equally narrow, those of a gap, the one in their middle.
    narrow = np.flatnonzero(middle == middle.min())
    cut = first + quarter + int(narrow[len(narrow) // 2])
    if columns[cut] > WAIST * columns.max():
        cut = mask.shape[1] if (first + last) / 2 < mask.shape[1] / 2 else 0
    return float(columns[:cut].sum() / mask.size), float(columns[cut:].sum() / mask.size)


def _lies_across(mask: np.ndarray) -> bool:
    """Return whether the marked region reaches far to both sides of the image's middle, as a single lung does not."""
    columns = np.flatnonzero(refined(mask).any(axis=0)) / mask.shape[1]
    return min(0.5 - columns[0], columns[-1] - 0.5) > ACROSS


def refined(mask: np.ndarray) -> np.ndarray:
    """Return the two largest regions of a mask, gaps filled, without those too small to be a lung or a part of one."""
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-areas, kind="stable")[:2]
    kept = [i + 1 for i in largest if areas[i] >= max(SPECK * mask.size, SMALLER * areas[largest[0]])]
    borders, _ = cv2.findContours(np.isin(regions, kept).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), borders, -1, 1, cv2.FILLED) > 0


def surroundings(mask: np.ndarray) -> np.ndarray:
    """Return the lungs with all that is between and close around them: their convex hull, and a margin."""
    points = cv2.findNonZero(refined(mask).astype(np.uint8))
    if points is None:
        return np.zeros_like(mask)
    hull = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), cv2.convexHull(points), 1)
    size = 2 * round(MARGIN * len(mask)) + 1
    return cv2.dilate(hull, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0


def coarse(mask: np.ndarray) -> np.ndarray:
    """Return a mask's share of each of 7 × 7 cells, shape (49,): where it lies, and roughly what shape it has."""
    return cv2.resize(mask.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()


def enlarged(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a mask of 224 × 224 pixels at an image's own size, its border smooth, shape (height, width), bool."""
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SMOOTH)
    interpolation = cv2.INTER_AREA if min(height, width) < len(mask) else cv2.INTER_LINEAR
    return cv2.resize(smooth, (width, height), interpolation=interpolation) > 0.5


def packed(mask: np.ndarray) -> bytes:
    """Return a mask of 224 × 224 pixels as few bytes: a blob takes some hundred."""
    return zlib.compress(np.packbits(mask).tobytes())


def unpacked(data: bytes) -> np.ndarray:
    """Return the mask that `packed` made bytes of, shape (224, 224), bool."""
    return np.unpackbits(np.frombuffer(zlib.decompress(data), np.uint8)).astype(bool).reshape(SIZE, SIZE)


class Implausibility(NamedTuple):
    """Why an image may be no frontal chest radiograph."""

    reason: str  # of one image, such as "no lungs were found"
    group: str  # what several such images are, such as "without lungs"
    rejected: bool  # whether no class is predicted for such an image; any other is predicted, with a note


def colourfulness(pixels: np.ndarray) -> float:
    """Return the mean difference of the largest and the smallest colour channel of an RGB image, 0…255."""
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())


def doubt(pixels: np.ndarray) -> str:
    """Return why an RGB image may be a negative, or upside down; empty for most.

    In a negative the sides of the chest are brighter than its middle: in 2 of 779 frontal radiographs, and in 95 % of
    their negatives (2026-11-25). The abdomen is brighter than the neck: not so in 5 of 707 frontal radiographs, and in
    98 % of these turned upside down (2026-12-01).
    """
    grey = pixels.mean(axis=2)
    (height, width), (low, high) = grey.shape, np.percentile(grey, [1, 99])
    right, left, middle = (
        np.median(grey[height * 25 // 100 : height * bottom // 100, width * start // 100 : width * end // 100])
        for start, end, bottom in ((18, 36, 55), (64, 82, 55), (42, 58, 70))
    )
    if (right + left) / 2 - middle > BRIGHTER * max(1.0, high - low):
        return INVERTED
    centre, quarter = grey[:, width // 4 : -(width // 4)], height // 4
    brighter_below = centre[-quarter:].mean() - centre[:quarter].mean()
    return UPSIDE_DOWN if brighter_below < BELOW * grey.std() else ""


def implausibility(colour: float, lungs: Lungs | None, view: str = "", doubt: str = "") -> Implausibility | None:
    """Return why an image may be no frontal chest radiograph; None where nothing speaks against it.

    `colour` and `doubt` are what the functions return; `lungs` is what the lung mask says,
    None where there is none; `view` is ``"lateral"`` for an image that is known to be one.
    """
    if colour > MOST_COLOUR:
        return Implausibility("a colour image", "in colour", True)
    if view == "lateral":
        return Implausibility("a lateral view", "of a lateral view", lungs is not None and not lungs.found)
    if lungs is not None and lungs.warning:
        group = GROUPS.get(lungs.warning, "marked as lung mostly") if lungs.found else "without lungs"
        return Implausibility(lungs.warning, group, not lungs.found)
    return Implausibility(doubt, GROUPS[doubt], False) if doubt else None
