"""Lung masks: shares, warnings, cleaning and enlargement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import ellipses

from detector.images import lungs


def test_two_lungs_have_a_share_each():
    found = lungs.describe(ellipses(0.3, 0.7))
    assert (found.found, found.warning) == (True, "")
    assert found.right == pytest.approx(np.pi * 0.3 * 0.13, rel=0.02)
    assert found.left == pytest.approx(found.right, rel=0.02)


def test_lungs_that_touch_are_two():
    found = lungs.describe(ellipses(0.37, 0.63, width=0.133))
    assert found.warning == ""
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
    assert described.found is found
    assert warning in described.warning


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.05, 0.95))
def test_shares_never_exceed_the_mask_and_swap_in_a_mirror(seed, cells, density):
    import cv2

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
