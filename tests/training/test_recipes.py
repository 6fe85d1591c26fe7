"""Recipes: what it takes to add one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from conftest import inside

from detector.network import model_file
from detector.network.backbone import COLUMNS
from detector.network.head import TrainedHead
from detector.training.recipes import RECIPES


@dataclass(frozen=True)
class CentroidRecipe:
    """The class whose mean is nearer, along the difference of both means."""

    pooling: str = "global"
    balanced: bool = True
    name = "centroid"
    rotations = 0

    def fit(self, data, seed, held_out, after_epoch):
        features = data.features[:, 0]
        means = np.stack([features[data.labels == index].mean(axis=0) for index in range(len(data.classes))])
        history = {"loss": [0.0], "accuracy": [1.0]}  # drawn as the tutorial's
        return TrainedHead([means.T, -(means**2).sum(axis=1) / 2], history)


def test_a_recipe_takes_a_class_its_columns_and_an_architecture(phantoms_of, tmp_path, monkeypatch):
    """`recipes.py`, `backbone.py` and Keras' account of the model; a title in reports would be the fourth file."""
    phantoms_of.write(tmp_path / "data", 6)
    shutil.copytree(model_file.ARCHITECTURES, tmp_path / "architectures")
    shutil.copy(tmp_path / "architectures/probe_global.json", tmp_path / "architectures/centroid_global.json")
    monkeypatch.setattr(model_file, "ARCHITECTURES", tmp_path / "architectures")
    monkeypatch.setitem(COLUMNS, ("centroid", "global"), COLUMNS["probe", "global"])
    monkeypatch.setitem(RECIPES, "centroid", CentroidRecipe)
    done = inside("train_covid19.py", "-d", "data", "--recipe", "centroid", "-m", "m.h5", "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "m.json").read_text())
    assert (written["settings"]["recipe"], written["settings"]["pooling"]) == ("centroid", "global")
    done = inside(
        "predict_covid19.py", "-m", "m.h5", "data", "--force", "--json", "p.json", "--no-report", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    predicted = {
        one["file"]: one["probabilities"] for one in json.loads((tmp_path / "p.json").read_text())["predictions"]
    }
    for image in written["held_out"]:
        assert predicted[f"data/{image['file']}"] == pytest.approx(image["probabilities"], abs=1e-4)
