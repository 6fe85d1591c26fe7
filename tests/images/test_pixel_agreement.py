"""Pixels decide whether a pair is one radiograph: copies agree, two phantoms do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.images.duplicates import SAME_RADIOGRAPH, pixel_agreement
from detector.images.phantom import draw


def shown(seed):
    return cv2.cvtColor(cv2.resize(draw(False, seed), (224, 224), interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)


def turned(pixels, angle, scale=1.0):
    return cv2.warpAffine(pixels, cv2.getRotationMatrix2D((111.5, 111.5), angle, scale), (224, 224))


@pytest.mark.parametrize(
    ("mirrored", "angle", "scale"),
    [(False, 0, 1.0), (True, 0, 1.0), (False, 5, 1.0), (False, -10, 1.0), (True, 8, 0.95)],
)
def test_copies_agree(mirrored, angle, scale):
    pixels = shown(1)
    copy = turned(np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels, angle, scale)
    assert pixel_agreement(pixels, copy, mirrored, abs(angle)) >= SAME_RADIOGRAPH


@pytest.mark.parametrize("other", range(2, 8))
def test_two_phantoms_do_not(other):
    assert pixel_agreement(shown(1), shown(other), False, 0.0) < SAME_RADIOGRAPH


def test_nothing_agrees_with_an_even_image():
    assert not pixel_agreement(shown(1), np.full((224, 224, 3), 90, np.uint8), False, 3.0) >= SAME_RADIOGRAPH
