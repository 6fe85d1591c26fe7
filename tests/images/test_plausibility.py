"""What speaks against a frontal chest radiograph: colour, lungs, view."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images.lungs import MOST_COLOUR, Lungs, colourfulness, implausibility, seems_inverted
from detector.images.phantom import draw

TWO, ONE = Lungs(0.1, 0.1, "", True), Lungs(0.1, 0.0, "one lung only was found", True)
NONE, FILLED = Lungs(0.0, 0.0, "no lungs were found", False), Lungs(0.3, 0.35, "65% of the image …", True)


@pytest.mark.parametrize(
    ("colour", "lungs", "view", "group", "rejected"),
    [
        (0.0, TWO, "PA", None, None),
        (MOST_COLOUR, TWO, "", None, None),
        (0.0, None, "", None, None),
        (MOST_COLOUR + 1, TWO, "", "in colour", True),
        (MOST_COLOUR + 1, None, "lateral", "in colour", True),
        (0.0, NONE, "", "without lungs", True),
        (0.0, ONE, "", "with one lung only", False),
        (0.0, FILLED, "", "marked as lung mostly", False),
        (0.0, NONE, "lateral", "of a lateral view", True),
        (0.0, TWO, "lateral", "of a lateral view", False),
        (0.0, None, "lateral", "of a lateral view", False),
    ],
)
def test_each_implausibility_has_a_reason_and_says_whether_a_class_is_predicted(colour, lungs, view, group, rejected):
    found = implausibility(colour, lungs, view)
    assert (found and (found.group, found.rejected)) == (group and (group, rejected))


def test_grey_has_no_colour_and_a_tint_little():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert colourfulness(grey) == 0
    tinted = grey.copy()
    tinted[..., 2] = np.maximum(grey[..., 2], 8) - 8
    assert 0 < colourfulness(tinted) < 10
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert colourfulness(red) == 255


@pytest.mark.parametrize("seed", range(4))
def test_a_negative_of_a_radiograph_seems_inverted(seed):
    """It is named, and predicted; what is known to be no radiograph is named as that."""
    pixels = np.repeat(draw(seed % 2 == 0, seed)[..., None], 3, axis=2)
    assert (seems_inverted(pixels), seems_inverted(255 - pixels)) == (False, True)
    found = implausibility(0.0, TWO, "", True)
    assert found and (found.group, found.rejected) == ("seemingly inverted", False)
    assert implausibility(0.0, None, "", True) == found and implausibility(0.0, TWO, "", False) is None
    assert [
        one and one.group for one in (implausibility(0.0, NONE, "", True), implausibility(99.0, TWO, "", True))
    ] == [
        "without lungs",
        "in colour",
    ]
    assert not seems_inverted(np.zeros((1, 1, 3), np.uint8))
