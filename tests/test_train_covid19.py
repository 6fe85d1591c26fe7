"""train_covid19.py as a user runs it: real VGG16 at 224 × 224, real files, a process of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED, classes, digest, inside, needs, script, tree
from PIL import Image

SEED = SHARED / "seed-dataset"


def train(data: Path, out: Path, *arguments: object, cwd: Path | None = None, **environment: str):
    out.mkdir(parents=True, exist_ok=True)
    return script(
        "train_covid19.py",
        *("-d", data, "-p", out / "plot.png", "-m", out / "covid19.model.h5"),
        *arguments,
        cwd=cwd or out,
        **environment,
    )


def report(out: Path) -> dict:
    return json.loads((out / "covid19.json").read_text(encoding="utf-8"))


def without_times(out: Path) -> dict:
    """Return what a run recorded but when it ran, where the data are, and commands that name them."""
    kept = {name: value for name, value in report(out).items() if name not in ("times", "created", "command")}
    return kept | {"checks": [one | {"recommendation": ""} for one in kept["checks"]]}


@pytest.fixture(scope="module")
def trained(phantoms_of, tmp_path_factory):
    """Return a data set of phantoms, and what a training run on it wrote and said."""
    folder = tmp_path_factory.mktemp("trained")
    data = phantoms_of.write(folder / "data set ü", 12)
    done = train(data, folder / "out", "--epochs", 4, "--rotations", 1, "--timings")
    assert done.returncode == 0, done.stderr
    return data, folder / "out", done


def test_the_tutorials_lines_are_printed(trained):
    _, _, done = trained
    assert done.stderr == ""
    for line in ("loading images: 12 covid, 12 normal", "Epoch 4/4  loss ", "24 images of 24 patients", "macro avg"):
        assert line in done.stdout
    assert "val_accuracy " in done.stdout
    for name in ("acc", "sensitivity", "specificity"):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name}: ")]
        assert "(95 % CI " in line
        assert line.endswith(" patients)")
    assert "import TensorFlow" in done.stdout


def test_outputs_are_written_whole_and_agree(trained):
    data, out, _ = trained
    assert tree(out).keys() == {"plot.png", "evaluation.png", "covid19.model.h5", "covid19.json", "report.html"}
    for name in ("plot.png", "evaluation.png"):
        with Image.open(out / name) as figure:
            figure.load()
            assert min(figure.size) > 600
    written = report(out)
    assert set(written["history"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {len(values) for values in written["history"].values()} == {4}
    assert written["settings"]["rotations"] == 1
    assert written["versions"]["tensorflow"]
    for image in written["train"] + written["held_out"]:
        assert digest(data / image["file"]) == image["sha256"]
    assert written["n_patients"] == {"train": len(written["train"]), "test": len(written["held_out"])}
    sides = [{image["patient"] for image in written[side]} for side in ("train", "held_out")]
    assert not sides[0] & sides[1]


def test_the_saved_model_loads_in_keras_and_predicts_what_was_reported(trained):
    import cv2
    import keras

    data, out, _ = trained
    model, held_out = keras.models.load_model(out / "covid19.model.h5"), report(out)["held_out"]
    assert model.input_shape == (None, 224, 224, 3) and model.input.dtype == "float32"
    files = [str(data / image["file"]) for image in held_out]
    pixels = [cv2.resize(cv2.imread(file)[..., ::-1], (224, 224), interpolation=cv2.INTER_AREA) for file in files]
    reported = np.array([list(image["probabilities"].values()) for image in held_out])
    assert np.abs(model.predict(np.stack(pixels) / 255.0, verbose=0) - reported).max() < 1e-5


def test_the_same_numbers_without_cache_from_elsewhere_and_in_another_locale(trained, tmp_path):
    """From a folder of any name, too; another seed is another split."""
    data, out, _ = trained
    shutil.copytree(data, tmp_path / "Bilder 'x' 📁")
    done = train(
        tmp_path / "Bilder 'x' 📁",
        tmp_path / "out",
        *("--epochs", 4, "--rotations", 1, "--no-cache", "--quiet", "--no-report"),
        cwd=Path("/"),
        LC_ALL="C",
        TZ="Pacific/Auckland",
    )
    assert done.returncode == 0, done.stderr
    assert "[INFO]" not in done.stdout
    assert "Epoch" not in done.stdout
    assert without_times(tmp_path / "out") == without_times(out)
    for name in ("plot.png", "evaluation.png"):
        assert digest(tmp_path / "out" / name) == digest(out / name)


def test_three_unbalanced_classes_can_be_trained_and_the_tutorials_model_name_used(tmp_path):
    classes(tmp_path / "data", covid=3, normal=7, pneumonia=3)
    few = ("--epochs", 2, "--rotations", 0, "--no-report")
    done = inside("train_covid19.py", "-d", "data", "-m", "covid19.model", *few, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "images are split at random: a patient may be on both sides" in done.stdout
    assert report(tmp_path)["classes"] == ["covid", "normal", "pneumonia"]
    assert (tmp_path / "covid19.model").read_bytes()[:8] == b"\x89HDF\r\n\x1a\n"


@needs(SEED)
def test_the_tutorials_accuracy_is_reached(tmp_path):
    done = inside("train_covid19.py", "-d", SEED, "--split", "image", "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = report(tmp_path)["metrics"]
    assert metrics["accuracy"]["value"] >= 0.9
    assert metrics["accuracy"]["n_positive"] + metrics["accuracy"]["n_negative"] == 10
    assert metrics["sensitivity"]["value"] == 1.0


@needs(SHARED)
def test_the_real_data_are_separated(tmp_path):
    """The images of the audit's test of real data: their features are computed once for both."""
    data = tmp_path / "dataset"
    cohen = SHARED / "covid-chestxray-dataset"
    for arguments in (
        ("build_covid_dataset.py", "-c", cohen, "-o", data / "covid", "--one-per-patient", "--limit", 12),
        ("sample_kaggle_dataset.py", "-k", SHARED / "chest_xray", "-o", data / "normal", "-s", 12),
    ):
        assert inside(*arguments, "--quiet", cwd=tmp_path).returncode == 0
    few = ("--rotations", 0, "--folds", 5, "--no-report")
    done = inside("train_covid19.py", "-d", data, "-o", "out", *few, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "24 images of 24 patients" in done.stdout
    metrics = report(tmp_path / "out")["metrics"]
    assert metrics["roc_auc"]["value"] >= 0.95
    assert metrics["sensitivity"]["value"] >= 0.8 and metrics["specificity"]["value"] >= 0.8  # of 12 each
    count = metrics["sensitivity"]["n_positive"] + metrics["specificity"]["n_negative"]
    assert count == len(report(tmp_path / "out")["held_out"])
