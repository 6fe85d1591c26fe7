"""Grad-CAM is computed once for an image, a head and a class."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from detector.cli.output import Log
from detector.cluster.flags import ComputeOptions
from detector.datasets.dataset import load
from detector.files.cache import Cache
from detector.images.masks import LUNGS_ONLY, Occlusion
from detector.network.features import KeptMaps
from detector.network.model_file import Description, join
from detector.training import run
from detector.training.dataset import open_dataset
from detector.training.recipes import TutorialRecipe
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
        kept_maps=lambda rows: None,
        is_kept=lambda row: False,
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


def test_maps_that_a_run_has_kept_give_the_grad_cam_of_another_pass(weights, phantoms_of, tmp_path):
    dataset = load(phantoms_of.write(tmp_path / "data", 2))
    recipe = TutorialRecipe(pooling="global", rotations=0)
    extractor = open_dataset(dataset, Log(True), recipe, ComputeOptions(no_cache=True))
    extractor.features()
    chance = np.random.default_rng(0)
    head = [chance.normal(0, 0.05, shape).astype(np.float32) for shape in ((512, 64), 64, (64, 2), 2)]
    explained = GradCamRequest(np.array([2, 0, 3]), np.array([0, 1, 1]), np.zeros((3, 0)))
    model = join(weights, head, Description(["covid", "normal"], "covid", "tutorial", "global"))
    assert all(extractor.is_kept(row) for row in range(4))
    assert not replace(extractor, occlusion=Occlusion(LUNGS_ONLY)).is_kept(0)
    found = cached_heat_maps(extractor, head, explained, lambda: model, quiet=True)
    extractor.backbone.kept_maps = KeptMaps(0)
    again = cached_heat_maps(extractor, head, explained, lambda: model, quiet=True)
    assert np.stack(found).any() and np.stack(found) == pytest.approx(np.stack(again), abs=1e-4)
