"""Lung masks of files: names, overlays, and what is printed of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from conftest import rejection
from image_helpers import ellipses

from detector import InputError
from detector.images.colours import BLUE, ORANGE, rgb
from detector.images.lungs import describe
from detector.inference import lung_masks


def test_masks_of_the_same_name_are_rejected():
    lung_masks.require_names([Path("a/x.png"), Path("a/y.png")])
    with rejection("a/x.png and b/x.jpg would have the same mask, x_mask.png; find their lungs in two runs"):
        lung_masks.require_names([Path("a/x.png"), Path("b/x.jpg")])


def test_an_overlay_is_small_and_outlines_the_lungs():
    picture = lung_masks.shrunk(np.full((3000, 1500), 100, np.uint8))
    assert picture.shape == (1024, 512, 3)
    assert lung_masks.shrunk(np.full((30, 20, 3), 7, np.uint8)).shape == (30, 20, 3)
    drawn = lung_masks.drawn_over(picture, ellipses(0.3, 0.7))
    colours = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert {rgb(BLUE), rgb(ORANGE), (100, 100, 100)} <= colours
    # Lungs are tinted; what lies outside is as it was.
    assert drawn[512, 154].tolist() == [int(0.85 * 100 + 0.15 * value) for value in rgb(ORANGE)]
    assert drawn[10, 10].tolist() == [100, 100, 100]


def test_what_was_found_is_one_row_and_one_entry():
    found = lung_masks.FoundLungs(Path("a.png"), describe(ellipses(0.3, 0.7)), True)
    none = lung_masks.FoundLungs(Path("b.png"), describe(np.zeros((224, 224), bool)), False)
    heading, first, second, warning = lung_masks.table([found, none])
    assert heading == "right lung  left lung  file"
    right, left, name = first.split()
    assert right.startswith("12.") and left.startswith("12.") and name == "a.png"
    assert second.split() == ["no", "mask", "no", "mask", "b.png"] and warning.strip() == none.lungs.warning
    assert all(len(line) <= 80 for line in (heading, first, second, warning))
    assert lung_masks.table([]) == []
    failures = [InputError("c.png: empty")]
    assert lung_masks.summary([found, none], failures, Path("masks")) == (
        "1 mask in masks; 1 image without plausible lungs; 1 file skipped"
    )
    assert lung_masks.summary([found], [], Path("masks")) == "1 mask in masks"
    record = json.loads(lung_masks.as_json([found, none], [InputError("c.png: empty")]))
    assert [one["mask"] for one in record["images"]] == ["a_mask.png", None]
    assert record["failures"] == ["c.png: empty"] and "never a diagnosis" in record["notice"]
