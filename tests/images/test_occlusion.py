"""Lung masks from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import picture, rejection
from image_helpers import ellipses, phantom_pixels
from PIL import Image

from detector.images import lungs, masks
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion


def test_masks_are_matched_by_stem(tmp_path):
    mask = np.zeros((100, 80), np.uint8)
    mask[20:80, 10:30] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a_mask.png")
    image = tmp_path / "a.jpg"
    found = masks.find_masks(tmp_path / "masks", {image: "covid", tmp_path / "b.jpg": "covid"})
    assert found.keys() == {image}
    assert masks.read_mask(found[image]).mean() == pytest.approx(0.15, abs=0.02)
    masks.require_same_shape(found, {image: (1600, 2000)})
    with rejection("a_mask.png is 80 x 100 pixels, its image 100 x 100"):
        masks.require_same_shape(found, {image: (100, 100)})
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "masks" / "a_mask.png")
    with rejection("marks no lungs"):
        masks.read_mask(found[image])


def test_a_mask_belongs_to_the_image_of_its_own_class(tmp_path):
    images = {tmp_path / "data" / label / "1.png": label for label in ("covid", "normal")}
    covid, normal = images
    own, flat = tmp_path / "own", tmp_path / "flat"
    picture(own / "covid" / "1.png", 1)
    assert masks.find_masks(own, images) == {covid: own / "covid" / "1.png"}
    picture(own / "normal" / "masks" / "1_mask.png", 2)
    assert masks.find_masks(own, images) == {
        covid: own / "covid" / "1.png",
        normal: own / "normal" / "masks" / "1_mask.png",
    }
    picture(flat / "1.png", 1)
    with rejection("covid/1.png and as .*normal/1.png; give each class a folder of masks"):
        masks.find_masks(flat, images)
    picture(flat / "1.jpg", 1)
    with rejection("are both masks of"):
        masks.find_masks(flat, images)


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
