"""Variants of an image are the image mirrored, rotated, scaled and shifted."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images.duplicates import SIDE, Variant, after_shifts

CHANCE = np.random.default_rng(0)
SMOOTH = np.where(np.arange(512) < 60, CHANCE.normal(size=512), 0.0)  # coefficients; the slowest waves come first


def drawn(**changes) -> np.ndarray:
    """Return the picture of a variant."""
    known = {"mirrored": False, "angle": 0.0, "scale": 1.0, "shift": (0, 0)}
    return (SMOOTH @ Variant(**(known | changes)).pictures()).reshape(SIDE, SIDE)


def test_a_mirrored_or_rotated_variant_is_the_picture_mirrored_or_rotated():
    plain = drawn()
    assert plain.std() > 0.1
    assert drawn(mirrored=True) == pytest.approx(plain[:, ::-1], abs=1e-4)
    assert drawn(angle=90.0) == pytest.approx(np.rot90(plain), abs=1e-4)
    assert drawn(angle=-90.0) == pytest.approx(np.rot90(plain, -1), abs=1e-4)


def test_a_larger_variant_shows_the_middle_of_the_picture():
    centre = slice(SIDE // 4, 3 * SIDE // 4)
    larger = drawn(scale=2.0)
    halved = larger.reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3))
    assert np.corrcoef(halved.ravel(), drawn()[centre, centre].ravel())[0, 1] > 0.95


def test_coefficients_after_a_shift_are_those_of_the_shifted_picture():
    picture = drawn()
    plain, right_and_up = np.split(picture.ravel() @ after_shifts([(0, 0), (1, -2)]), 2)
    expected = np.roll(picture, (-2, 1), (0, 1)).ravel() @ after_shifts([(0, 0)])
    # The border of the picture comes in from elsewhere.
    assert np.corrcoef(right_and_up, expected)[0, 1] > 0.99 > np.corrcoef(plain, expected)[0, 1]
