"""Augmented copies: angles and the rotated image."""

from __future__ import annotations

import numpy as np

from detector.images.masks import angles, rotate


def test_more_augmented_copies_keep_the_first_ones():
    digest = "ab" * 32
    assert angles(digest, 7, 1)[:3] == angles(digest, 3, 1)
    assert angles(digest, 3, 1) != angles(digest, 3, 2) != angles("cd" * 32, 3, 2)
    assert all(-15 <= angle <= 15 for angle in angles(digest, 200, 0))


def test_rotation_turns_about_the_centre_and_repeats_the_border():
    pixels = np.full((224, 224, 3), 77, np.uint8)
    assert (rotate(pixels, 13.0) == 77).all()
    pixels[100:124, 20:40] = 255
    assert np.array_equal(rotate(pixels, 0.0), pixels)
    quarter = rotate(pixels, 90.0)
    assert quarter[190, 111, 0] == 255
