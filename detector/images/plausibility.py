"""Whether an image can be a frontal chest radiograph, by what can be measured of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.images.lungs import ONE_LUNG, Lungs

# Mean difference of the largest and the smallest colour channel, of 255. A grey image has 0, a radiograph with coloured
# marks or a tint stored as JPEG below 10.
MOST_COLOUR = 24.0
LATERAL = "lateral"
INVERTED = 0.1  # of the grey range: by so much the sides of an inverted image are brighter than its middle


class Implausibility(NamedTuple):
    """Why an image may be no frontal chest radiograph.

    Attributes
    ----------
    reason : str
        Of one image, such as ``"no lungs were found"``.
    group : str
        What several such images are, such as ``"without lungs"``.
    rejected : bool
        Whether no class is predicted for such an image. Any other is predicted, with a note.
    """

    reason: str
    group: str
    rejected: bool


def colourfulness(pixels: np.ndarray) -> float:
    """Return the mean difference of the largest and the smallest colour channel, 0…255.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    """
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())


def seems_inverted(pixels: np.ndarray) -> bool:
    """Return whether the sides of the chest are brighter than its middle, as in a negative of a radiograph.

    Of 779 frontal radiographs 2 seem inverted (0.3 %), of their negatives 95 % do (2026-11-25).

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    """
    grey = pixels.mean(axis=2)
    height, width = grey.shape

    def median(left: float, right: float, top: float, bottom: float) -> float:
        part = grey[int(height * top) : int(height * bottom), int(width * left) : int(width * right)]
        return float(np.median(part)) if part.size else 0.0

    low, high = np.percentile(grey, [1, 99])
    sides = (median(0.18, 0.36, 0.25, 0.55) + median(0.64, 0.82, 0.25, 0.55)) / 2
    return bool(sides - median(0.42, 0.58, 0.25, 0.7) > INVERTED * max(1.0, high - low))


def implausibility(colour: float, lungs: Lungs | None, view: str = "", inverted: bool = False) -> Implausibility | None:
    """Return why an image may be no frontal chest radiograph; None where nothing speaks against it.

    Parameters
    ----------
    colour : float
        As `colourfulness` returns it.
    lungs : Lungs or None
        What the lung mask says; None where there is none.
    view : str
        ``"lateral"`` for an image that is known to be one.
    inverted : bool
        As `seems_inverted` returns it.
    """
    if colour > MOST_COLOUR:
        return Implausibility("a colour image", "in colour", True)
    if view == LATERAL:
        return Implausibility("a lateral view", "of a lateral view", lungs is not None and not lungs.found)
    if lungs is None or not lungs.warning:
        return (
            Implausibility("bright where lungs are dark: is it inverted?", "seemingly inverted", False)
            if inverted
            else None
        )
    if not lungs.found:
        return Implausibility(lungs.warning, "without lungs", True)
    return Implausibility(
        lungs.warning, "with one lung only" if lungs.warning == ONE_LUNG else "marked as lung mostly", False
    )
