"""Lung masks and plausibility: shares, warnings, cleaning, enlargement; colour, view, inverted, upside down."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import ellipses, phantom_pixels

from detector.images import lungs
from detector.images.lungs import INVERTED, MOST_COLOUR, UPSIDE_DOWN, Lungs, colourfulness, doubt, implausibility
from detector.images.read import read

REVIEWED = Path(__file__).resolve().parents[3] / "shared" / "data" / "lung-masks-v7" / "images"


@pytest.mark.parametrize("mask", [ellipses(0.3, 0.7), ellipses(0.37, 0.63, width=0.133)], ids=["two", "touching"])
def test_two_lungs_have_a_share_each(mask):
    found = lungs.describe(mask)
    assert (found.found, found.warning) == (True, "")
    assert found.right == pytest.approx(mask.mean() / 2, rel=0.02)
    assert found.left == pytest.approx(found.right, rel=0.02)


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


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reason", [INVERTED, UPSIDE_DOWN])
def test_a_negative_and_a_radiograph_upside_down_are_named_and_predicted(seed, reason):
    pixels = np.repeat(phantom_pixels(seed, seed % 2 == 0)[..., :1], 3, axis=2)
    changed = 255 - pixels if reason == INVERTED else pixels[::-1, ::-1]
    assert (doubt(pixels), doubt(pixels[:, ::-1]), doubt(changed)) == ("", "", reason)
    found = implausibility(0.0, TWO, "", reason)
    assert found and (found.reason, found.rejected) == (reason, False)
    assert implausibility(0.0, None, "", reason) == found
    # What is known to be no radiograph is named as that.
    assert implausibility(0.0, NONE, "", reason).group == "without lungs"


@pytest.mark.skipif(not REVIEWED.is_dir(), reason=f"{REVIEWED} is not there")
def test_radiographs_are_told_from_their_turned_copies():
    files = sorted(path for path in REVIEWED.iterdir() if path.suffix in (".png", ".jpg", ".jpeg"))[::3]
    pixels = [read(file).pixels for file in files]
    upright, turned = (np.mean([doubt(one[::step, ::step]) == UPSIDE_DOWN for one in pixels]) for step in (1, -1))
    assert len(files) > 50 and upright < 0.03 and turned > 0.95


GREY = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)


def test_grey_has_no_colour_and_a_tint_little():
    tinted = np.dstack([GREY[..., :2], np.maximum(GREY[..., 2], 8) - 8])
    assert colourfulness(GREY) == 0 < colourfulness(tinted) < 10
    assert colourfulness(GREY * 0 + np.uint8([255, 0, 0])) == 255
