"""Whether an image can be a frontal chest radiograph, by what can be measured of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.images.lungs import ONE_LUNG, Lungs

# Mean difference of the largest and the smallest colour channel, of 255. A grey image has 0, a radiograph with coloured
# marks or a tint stored as JPEG below 10.
MOST_COLOUR = 24.0
LATERAL = "lateral"


class Doubt(NamedTuple):
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


def doubt(colour: float, lungs: Lungs | None, view: str = "") -> Doubt | None:
    """Return why an image may be no frontal chest radiograph; None where nothing speaks against it.

    Parameters
    ----------
    colour : float
        As `colourfulness` returns it.
    lungs : Lungs or None
        What the lung mask says; None where there is none.
    view : str
        ``"lateral"`` for an image that is known to be one.
    """
    if colour > MOST_COLOUR:
        return Doubt("a colour image", "in colour", True)
    if view == LATERAL:
        return Doubt("a lateral view", "of a lateral view", lungs is not None and not lungs.found)
    if lungs is None or not lungs.warning:
        return None
    if not lungs.found:
        return Doubt(lungs.warning, "without lungs", True)
    return Doubt(lungs.warning, "with one lung only" if lungs.warning == ONE_LUNG else "marked as lung mostly", False)
