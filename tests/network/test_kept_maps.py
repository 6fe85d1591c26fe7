"""Grad-CAM of images that passed in this run is computed from what their pass left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_helpers import phantom_pixels

from detector.images.masks import NetworkInput
from detector.network.features import KeptMaps


def test_maps_of_a_pass_serve_for_grad_cam_in_place_of_the_pixels(weights):
    from detector.files.cache import Cache
    from detector.network.features import Backbone
    from detector.network.gradcam import heat_maps
    from detector.network.model_file import Description, join

    backbone = Backbone(weights, Cache(None))
    backbone.kept_maps = KeptMaps()
    drawn = {NetworkInput(Path("a.png"), f"{i}"): phantom_pixels(i, i % 2 == 0) for i in range(2)}
    inputs, pixels = list(drawn), np.stack(list(drawn.values())).astype(np.float32) / 255
    backbone.features(inputs, "float32", drawn.__getitem__)
    kept = backbone.kept_maps.of(inputs)
    assert kept.shape == (len(inputs), 14, 14, 512)
    chance = np.random.default_rng(0)
    head = [chance.normal(0, 0.05, shape).astype(np.float32) for shape in ((512, 64), 64, (64, 2), 2)]
    maps = heat_maps(join(weights, head, Description(["a", "b"], "a", "tutorial", "global")))
    for classes in (np.zeros(len(inputs), int), np.ones(len(inputs), int)):
        of_pixels = maps(pixels, classes, None)
        assert of_pixels.any()
        assert maps(np.zeros_like(pixels), classes, kept) == pytest.approx(of_pixels, abs=1e-4)


def test_only_maps_of_whole_images_as_they_are_are_kept_up_to_a_number():
    maps = np.arange(6 * 14 * 14 * 512, dtype=np.float32).reshape(6, 14, 14, 512)
    inputs = [NetworkInput(Path("a.png"), f"{i}") for i in range(6)]
    kept = KeptMaps(3)
    kept.add(inputs, "bfloat16", maps)
    others = [NetworkInput(Path("a.png"), "0", 4.5), NetworkInput(Path("a.png"), "0", 0.0, "x", "lungs only", b"x")]
    kept.add(others, "float32", maps[:2])
    assert not any(one in kept for one in (*inputs, *others))
    kept.add(inputs, "float32", maps)
    assert [one in kept for one in inputs] == [True] * 3 + [False] * 3
    assert np.array_equal(kept.of(inputs[2::-1]), maps[2::-1])
