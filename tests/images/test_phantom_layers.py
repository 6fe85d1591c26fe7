"""Layers of a phantom: lungs on both sides, air in their depth, bones over them."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images import phantom as layers

HABITUS = layers.Habitus(0.4, 0.16, 0.7, 0.13, 1.0, 0.3, 0.0)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_lung_lies_on_its_side_between_apex_and_diaphragm(side):
    mask = layers.lung(HABITUS, side)
    assert mask.shape == (512, 512) and mask.min() >= 0 and mask.max() <= 1.001
    rows, columns = np.nonzero(mask > 0.5)
    assert (columns < 256).all() if side < 0 else (columns > 255).all()
    assert rows.min() >= 0.14 * 512 and rows.max() <= 0.84 * 512


def test_a_ray_meets_more_air_inside_of_a_lung_than_at_its_border():
    mask = layers.lung(HABITUS, 1)
    air = layers.depth(mask)
    assert not air[mask < 0.01].max() > 0.1
    assert air[256, 420] < air[256, 380] <= 0.82


def test_the_heart_lies_more_to_the_patients_left():
    heart = layers.heart_and_spine(HABITUS)[300:350]
    assert heart[:, 256:].sum() > 1.2 * heart[:, :256].sum()


def test_bones_are_the_same_for_the_same_seed():
    first, again, other = (layers.bones(HABITUS, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
