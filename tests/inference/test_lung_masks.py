"""Lung masks of files: names, pictures to draw them over, and which images have one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from image_helpers import ellipses
from PIL import Image

from detector import InputError
from detector.inference import lung_masks


def test_a_picture_is_small_and_in_colour():
    assert lung_masks.shrunk(np.full((3000, 1500), 100, np.uint8)).shape == (1024, 512, 3)
    assert lung_masks.shrunk(np.full((30, 20, 3), 7, np.uint8)).shape == (30, 20, 3)


def test_only_plausible_lungs_have_a_mask(tmp_path):
    for name in ("lungs", "none", "bad"):
        Image.fromarray(np.full((300, 200), 90, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    masks = {"lungs": ellipses(0.3, 0.7), "none": np.zeros((224, 224), bool)}
    backbone = SimpleNamespace(lungs=lambda inputs, read: (masks[one.path.stem] for one in inputs))
    paths = [tmp_path / f"{name}.png" for name in ("lungs", "bad", "none")]
    bad, found, none = lung_masks.find_all(backbone, paths, True)
    assert isinstance(bad, InputError) and "bad.png" in str(bad)
    assert found.lungs.found and found.mask.shape == (224, 224) and found.size == (300, 200)
    assert found.picture.shape == (300, 200, 3)
    assert not none.lungs.found and none.mask is None
    assert [one.picture for one in lung_masks.find_all(backbone, paths[::2], False)] == [None, None]
