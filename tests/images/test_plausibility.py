"""Images that cannot be frontal chest radiographs."""

from __future__ import annotations

import numpy as np
from image_helpers import ellipses

from detector.images.plausibility import MOST_COLOUR, why_implausible


def tinted(difference: float) -> np.ndarray:
    pixels = np.full((224, 224, 3), 100, np.uint8)
    pixels[..., 0] += np.uint8(difference)
    return pixels


def test_a_grey_or_slightly_tinted_image_with_lungs_is_plausible():
    lungs = ellipses(0.3, 0.7)
    assert why_implausible(tinted(0), lungs) == why_implausible(tinted(MOST_COLOUR), lungs) == ""
    assert why_implausible(tinted(0), None) == ""


def test_colours_and_missing_lungs_are_named():
    assert why_implausible(tinted(MOST_COLOUR + 1), ellipses(0.3, 0.7)) == "a colour image"
    assert "no lungs were found" in why_implausible(tinted(0), np.zeros((224, 224), bool))
