"""Flags of a training run: defaults, contradictions, settings, written files; what it takes to add a recipe."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import inside, rejected, rejection

from detector.cli.arguments import parse
from detector.network import model_file
from detector.network.backbone import COLUMNS
from detector.network.head import TrainedHead
from detector.training.options import TrainingOptions
from detector.training.recipes import RECIPES, ProbeRecipe, TutorialRecipe

MODEL = {
    "recipe": "tutorial",
    "pooling": "tutorial",
    "adjust": "auto",
    "class_weight": "balanced",
    "epochs": 25,
    "batch_size": 8,
    "learning_rate": 0.001,
    "rotations": 1,
}
PROBE = {"recipe": "probe", "pooling": "lungs"} | dict.fromkeys(("epochs", "batch_size", "learning_rate"))
TRAINING = MODEL | {
    "seed": 42,
    "positive_class": "covid",
    "patient_from": None,
    "clinical_columns": [],
    "test_size": 0.2,
    "split": None,
    "folds": None,
    "repeats": 1,
    "leave_one_site_out": False,
    "threshold": None,
    "target_sensitivity": None,
    "prevalence": None,
    "allow_informative_missingness": False,
    "compare": None,
}


def parsed(arguments):
    return parse(TrainingOptions, "", "", arguments)


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ("", {}),
        ("--recipe probe", PROBE | {"rotations": 0}),
        ("--compare probe", {"compare": "probe:lungs"}),
        ("--recipe probe --compare tutorial --epochs 4", PROBE | MODEL | {"epochs": 4, "compare": "tutorial:tutorial"}),
        ("--recipe probe --adjust strata", PROBE | {"rotations": 0, "adjust": "strata"}),
        (
            "--epochs 3 --rotations 0 --class-weight none --folds 5 --repeats 2 --target-sensitivity 0.9",
            {"epochs": 3, "rotations": 0, "class_weight": "none", "folds": 5, "repeats": 2, "target_sensitivity": 0.9},
        ),
        (
            "--clinical-columns age,sex --allow-informative-missingness --leave-one-site-out --prevalence 0.1 "
            "--threshold 0.3 --test-size 0.3 --seed 7 --positive-class covid19 --split image --patient-from sub-(.*)_",
            {
                "clinical_columns": ["age", "sex"],
                "allow_informative_missingness": True,
                "leave_one_site_out": True,
                "prevalence": 0.1,
                "threshold": 0.3,
                "test_size": 0.3,
                "seed": 7,
                "positive_class": "covid19",
                "patient_from": "sub-(.*)_",
                "split": "image",
            },
        ),
    ],
)
def test_the_settings_of_a_training_run_are_its_flags_with_their_defaults(arguments, changed):
    settings = json.loads(json.dumps(parsed(arguments.split()).settings()))
    if "--recipe probe --compare tutorial" in arguments:
        changed |= {"recipe": "probe", "pooling": "lungs", "rotations": settings["rotations"]}
    assert settings == TRAINING | changed


def test_a_compared_recipe_shares_all_settings_but_its_pooling():
    assert parsed([]).recipes() == [TutorialRecipe()]
    found = parsed(["--recipe", "probe", "--epochs", "4", "--class-weight", "none", "--compare", "tutorial"])
    assert found.recipes() == [
        ProbeRecipe("lungs", balanced=False),
        TutorialRecipe("tutorial", balanced=False, epochs=4),
    ]
    assert parsed(["--recipe", "probe", "--pooling", "global", "--target-sensitivity", "0.9"]).recipes() == [
        ProbeRecipe("global")
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"recipe": "probe", "epochs": 3, "batch_size": 4}, "--epochs, --batch-size has no meaning with --recipe prob"),
        ({"adjust": "strata"}, "--adjust has no meaning with --recipe tutorial"),
        ({"recipe": "probe", "compare": "probe"}, "--compare probe:lungs is the recipe that is trained"),
        ({"ray_cpus_per_actor": 2.0}, "--ray-cpus-per-actor has no meaning without --ray ADDRESS"),
    ],
)
def test_flags_that_contradict_each_other_are_rejected(given, said):
    with rejection(said):
        TrainingOptions(**given)


@pytest.mark.parametrize(
    "arguments",
    [
        "--threshold 0.4 --target-sensitivity 0.9",
        "--folds 1",
        "--test-size 1",
        "-d http://x",
        "--report r.csv",
        "--report r.html --no-report",
        "--compare forest",
        "--compare probe:corner",
        "--recipe forest",
        "--pooling middle",
        "--prevalence 0",
        "--prevalence 1.5",
        "--epochs 0",
        "--epochs many",
        "--rotations -1",
        "--batch-size 0",
        "--learning-rate nan",
        "--seed -3",
        "--ray-cpus-per-actor -1 --ray auto",
        "--no-such-flag",
        "--input lungs",
    ],
)
def test_what_cannot_be_meant_is_rejected(arguments, tmp_path):
    rejected(inside("train_covid19.py", *arguments.split(), cwd=tmp_path), arguments.split()[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, "plot.png evaluation.png covid19.model.h5 covid19.json report.html"),
        ({"no_report": True}, "plot.png evaluation.png covid19.model.h5 covid19.json"),
        ({"output_dir": "o"}, "o/plot.png o/evaluation.png o/covid19.model.h5 o/covid19.json o/report.html"),
        ({"model": "m/b.h5"}, "m/b.plot.png m/b.evaluation.png m/b.h5 m/b.json m/b.report.html"),
        (
            {"model": "covid19.model", "plot": "p/plot.pdf"},
            "p/plot.pdf p/evaluation.png covid19.model covid19.json p/report.html",
        ),
    ],
)
def test_outputs_are_named_after_the_model(given, names):
    paths = {name: value if value is True else Path(value) for name, value in given.items()}
    found = TrainingOptions(**paths).outputs()
    assert [path.as_posix() for path in found.values()] == names.split()
    assert list(found) == ["--plot", "--evaluation-plot", "--model", "--json", "--report"][: len(found)]


@pytest.mark.parametrize(
    ("flag", "name", "said"),
    [
        ("model", "m.pb", "--model m.pb: a model is written as one of .h5, .hdf5"),
        ("plot", "p.gif", "--plot p.gif: a figure is written as one of .png, .pdf"),
        ("evaluation_plot", "e", "--evaluation-plot e: a figure is written as one of"),
    ],
)
def test_a_suffix_of_no_known_format_is_rejected(flag, name, said):
    with rejection(said):
        TrainingOptions(**{flag: Path(name)}).outputs()


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
