"""Masks from files, parts of an image, boxes, rotated copies, and what the network sees."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import picture, rejection
from image_helpers import ellipses, phantom_lungs, phantom_pixels
from PIL import Image

from detector import InputError
from detector.images import lungs, masks
from detector.images import read as radiographs
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, NetworkInput


def test_masks_are_matched_by_stem(tmp_path):
    mask = np.zeros((100, 80), np.uint8)
    mask[20:80, 10:30] = 255
    (tmp_path / "masks").mkdir()
    path, image = tmp_path / "masks" / "a_mask.png", tmp_path / "a.jpg"
    Image.fromarray(mask).save(path)
    assert masks.find_masks(tmp_path / "masks", {image: "covid", tmp_path / "b.jpg": "covid"}) == {image: path}
    assert masks.read_mask(path).mean() == pytest.approx(0.15, abs=0.02)
    Image.fromarray(mask * 0).save(path)
    with rejection("marks no lungs"):
        masks.read_mask(path)
    with rejection("not a folder"):
        masks.find_masks(tmp_path / "nowhere", {})
    with rejection("holds no mask of any image"):
        masks.find_masks(tmp_path / "masks", {Path("b.png"): "covid"})


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


def judged(folder, mask, found):
    """Return what is said of a mask's file, given the lungs found; empty where it is accepted."""
    Image.fromarray(mask.astype(np.uint8)).save(folder / "a_mask.png")
    try:
        masks.require_lung_masks({folder / "a.png": folder / "a_mask.png"}, [(folder / "a.png", found)])
    except InputError as error:
        return " ".join([str(error), *error.details])
    return ""


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
    said = judged(tmp_path, change(drawn_lungs(400)), drawn_lungs())
    assert re.search(f"a_mask.png.*({why})", said) if why else not said


def test_a_mask_is_not_measured_by_lungs_of_which_none_or_one_was_found(tmp_path):
    assert judged(tmp_path, 255 * ellipses(0.3), ellipses(0.3)) == ""
    assert judged(tmp_path, 255 * drawn_lungs(), np.zeros((224, 224), bool)) == ""


def test_parts_of_an_image_are_shown():
    pixels, mask = phantom_pixels(1, True), ellipses(0.3, 0.7)
    whole = NetworkInput(Path("a.png"), "0" * 64, mask=lungs.packed(mask))
    without, only, outline = (replace(whole, part=part).shown(pixels) for part in (WITHOUT_LUNGS, LUNGS_ONLY, OUTLINE))
    hidden = lungs.surroundings(mask)
    assert hidden[mask].all() and 1.5 * mask.mean() < hidden.mean() < 0.8
    assert not without[hidden].any() and (without[~hidden] == pixels[~hidden]).all()
    assert not only[~mask].any() and (only[mask] == pixels[mask]).all()
    assert set(np.unique(outline)) == {0, 255}
    assert np.array_equal(outline[..., 0] > 0, mask)
    turned = replace(whole, part=LUNGS_ONLY, angle=5.0)
    assert np.array_equal(turned.shown(pixels), masks.rotate(only, 5.0))
    assert np.array_equal(turned.region(), masks.rotate_mask(mask, 5.0)) and whole.region() is None


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
    assert (masks.boxed([RECTANGLE]) != seen).mean() < 0.01
    assert masks.boxed([RECTANGLE]).mean() == pytest.approx(RECTANGLE[2] * RECTANGLE[3], rel=0.03)


def test_shares_of_a_map_by_hand():
    heat = np.zeros((14, 14))
    heat[0, 0], heat[13, 13] = 3.0, 1.0
    left_half = masks.boxed([(0.0, 0.0, 0.5, 1.0)])
    assert (masks.share_inside(heat, left_half), masks.share_inside(heat, ~left_half)) == (0.75, 0.25)
    # Half of the upper left cell, and nothing of the other.
    assert masks.share_inside(heat, masks.boxed([(0.0, 0.0, 1 / 28, 1.0)])) == 0.375
    assert masks.share_inside(np.zeros((14, 14)), left_half) == 0.0


def test_the_maximum_is_the_centre_of_its_cell():
    heat = np.zeros((14, 14))
    assert masks.highest(heat) is None
    heat[2, 9] = 0.1
    assert masks.highest(heat) == pytest.approx((9.5 / 14, 2.5 / 14))
    assert masks.in_a_box(masks.highest(heat), [(0.9, 0.9, 0.1, 0.1), (0.6, 0.1, 0.2, 0.2)])
    assert not masks.in_a_box(masks.highest(heat), [(0.1, 0.6, 0.2, 0.2)])


def test_more_augmented_copies_keep_the_first_ones():
    digest = "ab" * 32
    assert masks.angles(digest, 7, 1)[:3] == masks.angles(digest, 3, 1)
    assert masks.angles(digest, 3, 1) != masks.angles(digest, 3, 2) != masks.angles("cd" * 32, 3, 2)
    assert all(-15 <= angle <= 15 for angle in masks.angles(digest, 200, 0))


def test_rotation_turns_about_the_centre_and_repeats_the_border():
    pixels = np.full((224, 224, 3), 77, np.uint8)
    assert (masks.rotate(pixels, 13.0) == 77).all()
    pixels[100:124, 20:40] = 255
    assert np.array_equal(masks.rotate(pixels, 0.0), pixels)
    quarter = masks.rotate(pixels, 90.0)
    assert quarter[190, 111, 0] == 255
