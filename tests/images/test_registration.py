"""Registration of two small pictures: a rotation is measured, other pictures do not agree."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.images.duplicates import agreement, as_array, coefficients, perceptual_hash, picture


def drawn(seed, angle=0.0):
    blots = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (224, 224)), (0, 0), 8)
    grey = cv2.normalize(blots, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    matrix = cv2.getRotationMatrix2D((111.5, 111.5), angle, 1.0)
    turned = cv2.warpAffine(grey, matrix, (224, 224), borderMode=cv2.BORDER_REPLICATE)
    hashed = perceptual_hash(np.repeat(turned[..., None], 3, axis=2))
    return picture(coefficients(as_array([hashed]))[0])


@pytest.mark.parametrize("angle", [-4.0, 0.0, 4.0])
def test_a_rotation_is_measured(angle):
    found = agreement(drawn(0), drawn(0, angle), np.eye(3))
    assert found.correlation > 0.9
    assert abs(found.angle) == pytest.approx(abs(angle), abs=0.7)


def test_other_pictures_do_not_agree():
    assert agreement(drawn(0), drawn(1), np.eye(3)).correlation < 0.6
