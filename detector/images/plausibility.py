"""Whether an image can be a frontal chest radiograph, by what can be measured of it."""

from __future__ import annotations

import numpy as np

from detector.images.lungs import describe

# Mean difference of the largest and the smallest colour channel, of 255. A grey image has 0, a radiograph with coloured
# marks or a tint stored as JPEG below 10.
MOST_COLOUR = 24.0


def why_implausible(pixels: np.ndarray, lungs: np.ndarray | None) -> str:
    """Return why an image is no frontal chest radiograph; empty where nothing speaks against it.

    Parameters
    ----------
    pixels : ndarray of shape (224, 224, 3), uint8
    lungs : ndarray of shape (224, 224), bool, or None
        The lung mask; None where there is none.
    """
    values = pixels.astype(np.int16)
    if float((values.max(axis=2) - values.min(axis=2)).mean()) > MOST_COLOUR:
        return "a colour image"
    if lungs is None:
        return ""
    described = describe(lungs)
    return "" if described.found else described.warning
