"""Masks from files, parts of an image, boxes, rotated copies, and what the network sees."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture, rejection
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import ellipses, phantom_lungs, phantom_pixels
from PIL import Image

from detector import InputError
from detector.images import lungs, masks
from detector.images import read as radiographs
from detector.images.masks import (
    LUNGS_ONLY,
    OUTLINE,
    WITHOUT_LUNGS,
    NetworkInput,
    Occlusion,
    angles,
    boxed,
    highest,
    in_a_box,
    rotate,
    share_inside,
)


def test_masks_are_matched_by_stem(tmp_path):
    mask = np.zeros((100, 80), np.uint8)
    mask[20:80, 10:30] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a_mask.png")
    image = tmp_path / "a.jpg"
    found = masks.find_masks(tmp_path / "masks", {image: "covid", tmp_path / "b.jpg": "covid"})
    assert found.keys() == {image}
    assert masks.read_mask(found[image]).mean() == pytest.approx(0.15, abs=0.02)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "masks" / "a_mask.png")
    with rejection("marks no lungs"):
        masks.read_mask(found[image])


def test_a_mask_belongs_to_the_image_of_its_own_class(tmp_path):
    images = {tmp_path / "data" / label / "1.png": label for label in ("covid", "normal")}
    covid, normal = images
    own, flat = tmp_path / "own", tmp_path / "flat"
    picture(own / "covid" / "1.png", 1)
    assert masks.find_masks(own, images) == {covid: own / "covid" / "1.png"}
    picture(own / "normal" / "lung masks" / "1_mask.png", 2)
    assert masks.find_masks(own, images) == {
        covid: own / "covid" / "1.png",
        normal: own / "normal" / "lung masks" / "1_mask.png",
    }
    picture(flat / "1.png", 1)
    with rejection("covid/1.png and as .*normal/1.png; give each class a folder of masks"):
        masks.find_masks(flat, images)
    picture(flat / "1.jpg", 1)
    with rejection("are both masks of"):
        masks.find_masks(flat, images)


def drawn_lungs(side=224):
    return cv2.resize(phantom_lungs(1).astype(np.uint8), (side, side), interpolation=cv2.INTER_AREA) > 0


def with_labels(mask):
    """Return a mask whose right lung is 1, whose left is 2."""
    return mask * np.where(np.arange(len(mask)) < len(mask) / 2, 1, 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda mask: 255 * mask, ""),
        (lambda mask: 255 - 255 * mask, "marked as lung, more than lungs mostly are|overlaps the lungs found"),
        (lambda mask: 255 * mask * (np.arange(len(mask)) < len(mask) / 2), "the mask marks one lung only"),
        (lambda mask: 255 * np.rot90(mask), "the mask marks no lungs"),
        (lambda mask: 255 * mask[::-1, ::-1], "turned or mirrored|overlaps the lungs found in its image by"),
        (with_labels, "holds the values 0, 1, 2; a lung mask has two"),
        (
            lambda mask: 255 * np.roll(mask, len(mask) // 3, 0),
            "overlaps the lungs found in its image by|marks no lungs",
        ),
    ],
    ids=["right", "inverted", "one lung", "turned", "upside down", "labels", "elsewhere"],
)
def test_a_mask_that_cannot_be_of_the_lungs_is_an_error_that_names_it(tmp_path, change, why):
    path, image = tmp_path / "a_mask.png", tmp_path / "a.png"
    Image.fromarray(change(drawn_lungs(400)).astype(np.uint8)).save(path)
    if not why:
        return masks.require_lung_masks({image: path}, [(image, drawn_lungs())])
    with pytest.raises(InputError) as error:
        masks.require_lung_masks({image: path}, [(image, drawn_lungs())])
    assert re.search(f"a_mask.png.*({why})", " ".join([str(error.value), *error.value.details]))


def test_a_mask_says_what_no_lungs_were_found_for(tmp_path):
    """Where the program finds no lungs, or one only, a mask is not measured by it."""
    path, image = tmp_path / "a_mask.png", tmp_path / "a.png"
    Image.fromarray((255 * ellipses(0.3)).astype(np.uint8)).save(path)
    masks.require_lung_masks({image: path}, [(image, ellipses(0.3))])
    Image.fromarray((255 * drawn_lungs()).astype(np.uint8)).save(path)
    masks.require_lung_masks({image: path}, [(image, np.zeros((224, 224), bool))])


def test_parts_of_an_image_are_shown():
    pixels, mask = phantom_pixels(1, True), ellipses(0.3, 0.7)
    without, only, outline = (Occlusion(part).apply(pixels, mask) for part in (WITHOUT_LUNGS, LUNGS_ONLY, OUTLINE))
    hidden = lungs.surroundings(mask)
    assert hidden[mask].all() and 1.5 * mask.mean() < hidden.mean() < 0.8
    assert not without[hidden].any() and (without[~hidden] == pixels[~hidden]).all()
    assert not only[~mask].any() and (only[mask] == pixels[mask]).all()
    assert set(np.unique(outline)) == {0, 255}
    assert np.array_equal(outline[..., 0] > 0, mask)


def test_masks_without_an_image_are_rejected(tmp_path):
    picture(tmp_path / "masks" / "another.png", 1)
    with rejection("not a folder"):
        masks.find_masks(tmp_path / "nowhere", {})
    with rejection("holds no mask of any image"):
        masks.find_masks(tmp_path / "masks", {Path("a.png"): "covid"})


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


def test_an_input_is_the_same_on_every_node(tmp_path):
    from detector.images.lungs import packed
    from detector.images.masks import Occlusion, rotate

    generator = np.random.default_rng(0)
    mask = np.zeros((224, 224), bool)
    mask[60:160, 30:90] = mask[60:160, 130:190] = True
    pixels = generator.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    one = NetworkInput(tmp_path / "a.png", "0" * 64, 5.0, "lungs only, found", LUNGS_ONLY, packed(mask))
    wanted = rotate(Occlusion(LUNGS_ONLY).apply(pixels, mask), 5.0)
    assert np.array_equal(NetworkInput(**asdict(one)).shown(pixels), wanted)
