"""Grad-CAM is computed once for an image, a head and a class."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from detector.files.cache import Cache
from detector.training import run
from detector.training.run import GradCamRequest, cached_heat_maps


@pytest.fixture
def passes(monkeypatch):
    """Count the images that pass through the network; a map holds its class everywhere."""
    seen = []

    def maps(inputs, classes, kept):
        assert kept is None
        seen.extend(classes.tolist())
        return np.ones((len(classes), 14, 14), np.float32) * classes[:, None, None]

    monkeypatch.setattr(run, "heat_maps", lambda model: maps)
    return seen


def test_a_map_is_kept_for_its_image_head_and_class(tmp_path, passes):
    extractor = SimpleNamespace(
        backbone=SimpleNamespace(cache=Cache(tmp_path)),
        properties=[SimpleNamespace(digest=f"{row}") for row in range(12)],
        columns=slice(0, 512),
        occlusion=None,
        pixels=lambda row, occlusion: np.full((224, 224, 3), row, np.uint8),
    )
    head, other = [np.zeros((512, 2), np.float32)], [np.ones((512, 2), np.float32)]
    built = []

    def asked(rows, classes, weights):
        explained = GradCamRequest(np.array(rows), np.array(classes), np.zeros((len(rows), 0)))
        found = cached_heat_maps(extractor, weights, explained, lambda: built.append(1), quiet=True)
        assert [one[0, 0] for one in found] == classes
        return len(passes)

    assert asked(range(12), [row % 2 for row in range(12)], head) == 12
    assert asked([3, 2], [1, 0], head) == 12 and len(built) == 1  # no model is built where nothing is missing
    assert asked([3, 2], [1, 1], head) == 13  # another class of image 2
    assert asked([3], [1], other) == 14
