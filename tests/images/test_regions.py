"""Boxes, lungs and heat maps on the same square, whatever shape an image has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.images import read as radiographs
from detector.images.masks import boxed, highest, in_a_box, share_inside

RECTANGLE = (0.25, 0.5, 0.25, 0.125)  # x, y, width, height


@pytest.mark.parametrize("size", [(448, 896), (1600, 800), (224, 224), (96, 64)])
def test_a_box_covers_the_same_part_of_an_image_that_is_squashed_to_a_square(tmp_path, size):
    width, height = size
    drawn = np.full((height, width), 40, np.uint8)
    left, top = round(RECTANGLE[0] * width), round(RECTANGLE[1] * height)
    drawn[top : top + round(RECTANGLE[3] * height), left : left + round(RECTANGLE[2] * width)] = 220
    Image.fromarray(drawn).save(tmp_path / "a.png")
    seen = radiographs.read(tmp_path / "a.png").pixels[..., 0] > 130
    # What is enlarged or averaged may move an edge by a pixel.
    assert (boxed([RECTANGLE]) != seen).mean() < 0.01
    assert boxed([RECTANGLE]).mean() == pytest.approx(RECTANGLE[2] * RECTANGLE[3], rel=0.03)


def test_overlapping_boxes_count_once_and_no_box_covers_nothing():
    assert (boxed([RECTANGLE, RECTANGLE]) == boxed([RECTANGLE])).all()
    assert not boxed([]).any()
    assert boxed([(0.0, 0.0, 1.0, 1.0)]).all()


def test_shares_of_a_map_by_hand():
    heat = np.zeros((14, 14))
    heat[0, 0], heat[13, 13] = 3.0, 1.0
    left_half = boxed([(0.0, 0.0, 0.5, 1.0)])
    assert share_inside(heat, left_half) == 0.75
    # Half of the upper left cell, and nothing of the other.
    assert share_inside(heat, boxed([(0.0, 0.0, 1 / 28, 1.0)])) == 0.375
    assert share_inside(np.zeros((14, 14)), left_half) == 0.0


def test_the_maximum_is_the_centre_of_its_cell():
    heat = np.zeros((14, 14))
    assert highest(heat) is None
    heat[2, 9] = 0.1
    assert highest(heat) == pytest.approx((9.5 / 14, 2.5 / 14))
    assert in_a_box(highest(heat), [(0.9, 0.9, 0.1, 0.1), (0.6, 0.1, 0.2, 0.2)])
    assert not in_a_box(highest(heat), [(0.1, 0.6, 0.2, 0.2)])


@given(st.tuples(*[st.floats(0, 0.5)] * 4), st.integers(0, 2**32 - 1))
def test_a_share_and_its_rest_add_up_to_one(rectangle, seed):
    heat, region = np.random.default_rng(seed).random((14, 14)), boxed([rectangle])
    assert share_inside(heat, region) + share_inside(heat, ~region) == pytest.approx(1.0)
