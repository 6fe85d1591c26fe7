"""Lung masks from files."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import refusal
from PIL import Image

from detector.images import occlusion


def test_masks_are_matched_by_stem(tmp_path):
    mask = np.zeros((100, 80), np.uint8)
    mask[20:80, 10:30] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a_mask.png")
    found = occlusion.find_masks(tmp_path / "masks", [tmp_path / "a.jpg", tmp_path / "b.jpg"])
    assert found.keys() == {"a"}
    assert occlusion.read_mask(found["a"]).mean() == pytest.approx(0.15, abs=0.02)
    occlusion.require_same_shape(found, {"a": (1600, 2000)})
    with refusal("a_mask.png is 80 x 100 pixels, its image 100 x 100"):
        occlusion.require_same_shape(found, {"a": (100, 100)})
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "masks" / "a_mask.png")
    with refusal("marks no lungs"):
        occlusion.read_mask(found["a"])
