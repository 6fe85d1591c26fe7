"""Lung masks and plausibility: shares, warnings, cleaning, enlargement; colour, view, inverted, upside down."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import ellipses, phantom_lungs

from detector.images import lungs
from detector.images.lungs import MOST_COLOUR, Lungs, colourfulness, implausibility, seems_inverted
from detector.images.phantom import draw

REVIEWED = Path(__file__).resolve().parents[3] / "shared" / "data" / "lung-masks-v7" / "masks"


@pytest.mark.parametrize("mask", [ellipses(0.3, 0.7), ellipses(0.37, 0.63, width=0.133)], ids=["two", "touching"])
def test_two_lungs_have_a_share_each(mask):
    found = lungs.describe(mask)
    assert (found.found, found.warning) == (True, "")
    assert found.right == pytest.approx(mask.mean() / 2, rel=0.05)
    assert found.left == pytest.approx(found.right, rel=0.05)


@pytest.mark.parametrize(
    ("mask", "found", "warning"),
    [
        (np.zeros((224, 224), bool), False, "no lungs were found"),
        (np.ones((224, 224), bool), False, "more than lungs mostly are"),
        (ellipses(0.3), True, "one lung only"),
        (ellipses(0.7, height=0.1, width=0.05), False, "no lungs were found"),
        (ellipses(0.14, height=0.18, width=0.11), False, "no lungs were found"),
        (ellipses(0.5, height=0.4, width=0.3), False, "no lungs were found"),
        (ellipses(0.38, 0.62), False, "no lungs were found"),
        (ellipses(0.4, height=0.3, width=0.15), True, "one lung only"),
        (ellipses(0.25, 0.75, height=0.4, width=0.25), True, "more than lungs mostly are"),
    ],
)
def test_an_implausible_mask_is_a_warning(mask, found, warning):
    described = lungs.describe(mask)
    assert described.found is found and warning in described.warning


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.05, 0.95))
def test_shares_never_exceed_the_mask_and_swap_in_a_mirror(seed, cells, density):
    blocks = (np.random.default_rng(seed).random((cells, cells)) < density).astype(np.uint8)
    mask = cv2.resize(blocks, (224, 224), interpolation=cv2.INTER_NEAREST) > 0
    right, left = lungs.shares(mask)
    assert 0 <= right + left <= lungs.refined(mask).mean() + 1e-9
    assert sum(lungs.shares(mask[:, ::-1])) == pytest.approx(right + left)


def test_a_spot_beside_the_lungs_is_removed():
    mask = ellipses(0.3, 0.7)
    spot = mask.copy()
    spot[200:215, 100:120] = True
    assert np.array_equal(lungs.refined(spot), mask)
    assert np.array_equal(lungs.surroundings(spot), lungs.surroundings(mask))


def test_a_mask_is_enlarged_without_steps():
    mask = ellipses(0.3, 0.7)
    large = lungs.enlarged(mask, 900, 700)
    assert large.shape == (900, 700)
    assert large.mean() == pytest.approx(mask.mean(), rel=0.02)
    assert lungs.enlarged(mask, 3, 300).shape == (3, 300)


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


def test_lungs_upside_down_are_a_note():
    """The gap between the lungs is wide below, where the heart is; so it is in phantoms."""
    upright = phantom_lungs(3)
    assert lungs.describe(upright).warning == lungs.describe(upright[:, ::-1]).warning == ""
    for turned in (upright[::-1], upright[::-1, ::-1]):
        found = implausibility(0.0, lungs.describe(turned))
        assert found and (found.group, found.rejected) == ("seemingly upside down", False)
        assert "is it upside down?" in found.reason


@pytest.mark.skipif(not REVIEWED.is_dir(), reason=f"{REVIEWED} is not there")
def test_reviewed_masks_and_their_turned_copies():
    files = sorted(REVIEWED.glob("*.png"))[::3]
    masks = [cv2.resize(cv2.imread(str(file), 0), (224, 224), interpolation=cv2.INTER_AREA) > 127 for file in files]
    upright, turned = (
        np.mean([lungs.describe(mask[::step]).warning == lungs.UPSIDE_DOWN for mask in masks]) for step in (1, -1)
    )
    assert upright < 0.02 and turned > 0.6


GREY = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)


def test_grey_has_no_colour_and_a_tint_little():
    tinted = np.dstack([GREY[..., :2], np.maximum(GREY[..., 2], 8) - 8])
    assert colourfulness(GREY) == 0 < colourfulness(tinted) < 10
    assert colourfulness(GREY * 0 + np.uint8([255, 0, 0])) == 255


@pytest.mark.parametrize("seed", range(4))
def test_a_negative_of_a_radiograph_seems_inverted(seed):
    """It is named, and predicted; what is known to be no radiograph is named as that."""
    pixels = np.repeat(draw(seed % 2 == 0, seed)[..., None], 3, axis=2)
    assert (seems_inverted(pixels), seems_inverted(255 - pixels)) == (False, True)
    found = implausibility(0.0, TWO, "", True)
    assert found and (found.group, found.rejected) == ("seemingly inverted", False)
    assert implausibility(0.0, None, "", True) == found
    assert implausibility(0.0, NONE, "", True).group == "without lungs"
