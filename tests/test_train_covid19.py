"""train_covid19.py as a user runs it: real VGG16 at 224 × 224, real files, a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SHARED, classes, digest, inside, needs, picture, refused, script, tree
from PIL import Image

SEED = SHARED / "seed-dataset"


def phantoms(folder: Path, number: int) -> Path:
    done = script("make_phantom_dataset.py", "-o", folder, "-n", number, "--quiet", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


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
    return {name: value for name, value in report(out).items() if name not in ("times", "created", "command")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a data set of phantoms, and what a training run on it wrote and said."""
    folder = tmp_path_factory.mktemp("trained")
    data = phantoms(folder / "data set ü", 12)
    done = train(data, folder / "out", "--epochs", 4, "--rotations", 1, "--timings")
    assert done.returncode == 0, done.stderr
    return data, folder / "out", done


def test_the_tutorials_lines_are_printed(trained):
    _, _, done = trained
    assert done.stderr == ""
    for line in ("loading images: 12 covid, 12 normal", "Epoch 4/4 - loss: ", "24 images of 24 patients", "macro avg"):
        assert line in done.stdout
    assert "val_accuracy: " in done.stdout
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
    metric = written["metrics"]["sensitivity"]
    assert metric["ci_low"] <= metric["value"] <= metric["ci_high"]


def test_no_patient_is_on_both_sides(trained):
    written = report(trained[1])
    sides = [{image["patient"] for image in written[side]} for side in ("train", "held_out")]
    assert not sides[0] & sides[1]


def test_the_saved_model_loads_anywhere_and_says_what_was_reported(trained):
    data, out, _ = trained
    held_out = report(out)["held_out"]
    code = f"""
import json, sys
import keras, numpy as np
import cv2
model = keras.models.load_model({str(out / "covid19.model.h5")!r})
assert model.input_shape == (None, 224, 224, 3) and model.input.dtype == "float32", model.input_shape
held_out = json.load(open({str(out / "covid19.json")!r}))["held_out"]
files = [{str(data)!r} + "/" + image["file"] for image in held_out]
pixels = [cv2.resize(cv2.imread(file)[..., ::-1], (224, 224), interpolation=cv2.INTER_AREA) for file in files]
print(json.dumps(model.predict(np.stack(pixels) / 255.0, verbose=0).tolist()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = np.array(json.loads(done.stdout))
    reported = np.array([list(image["probabilities"].values()) for image in held_out])
    assert np.abs(loaded - reported).max() < 1e-5


def test_the_same_numbers_without_cache_from_elsewhere_and_in_another_locale(trained, tmp_path):
    data, out, _ = trained
    shutil.copytree(data, tmp_path / "copied 📁")
    done = train(
        tmp_path / "copied 📁",
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


@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "C.UTF-8"])
def test_the_same_numbers_from_a_folder_with_any_name_and_with_the_cache(trained, tmp_path, locale):
    data, out, _ = trained
    home = tmp_path / f"Prüfung 🫁 {locale} 'x'"
    shutil.copytree(data, home / "Bilder für später")
    done = train(
        Path("Bilder für später"),
        home / "Ergebnis ç İ ı",
        *("--epochs", 4, "--rotations", 1, "--quiet", "--no-report"),
        cwd=home,
        LC_ALL=locale,
        TZ="America/Caracas",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert without_times(home / "Ergebnis ç İ ı") == without_times(out)


def test_another_seed_is_another_run_and_keras_format_can_be_written(trained, tmp_path):
    data, out, _ = trained
    done = train(
        data,
        tmp_path,
        "--epochs",
        1,
        "--seed",
        7,
        "-m",
        tmp_path / "m.keras",
        "--pooling",
        "global",
        "--rotations",
        0,
        "--quiet",
        "--no-report",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))["train"] != report(out)["train"]
    code = f"import keras; print(keras.models.load_model({str(tmp_path / 'm.keras')!r}).output_shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "(None, 2)" in done.stdout, done.stderr


def test_three_unbalanced_classes_can_be_trained_and_the_tutorials_model_name_used(tmp_path):
    classes(tmp_path / "data", covid=5, normal=11, pneumonia=4)
    done = train(
        tmp_path / "data", tmp_path, "-m", tmp_path / "covid19.model", "--epochs", 2, "--rotations", 0, "--no-report"
    )
    assert done.returncode == 0, done.stderr
    assert "images are split at random: a patient may be on both sides" in done.stdout
    assert report(tmp_path)["classes"] == ["covid", "normal", "pneumonia"]
    assert (tmp_path / "covid19.model").read_bytes()[:8] == b"\x89HDF\r\n\x1a\n"


@needs(SEED)
def test_the_tutorials_accuracy_is_reached(tmp_path):
    done = train(SEED, tmp_path, "--split", "image", "--no-report")
    assert done.returncode == 0, done.stderr
    metrics = report(tmp_path)["metrics"]
    assert metrics["accuracy"]["value"] >= 0.9
    assert metrics["accuracy"]["n_positive"] + metrics["accuracy"]["n_negative"] == 10
    assert metrics["sensitivity"]["value"] == 1.0


@needs(SHARED)
def test_the_real_data_are_separated(tmp_path):
    data = tmp_path / "dataset"
    for arguments in (
        ("build_covid_dataset.py", "-c", SHARED / "covid-chestxray-dataset", "-o", data / "covid", "--quiet"),
        (
            "sample_kaggle_dataset.py",
            "-k",
            SHARED / "chest_xray",
            "-o",
            data / "normal",
            "-s",
            90,
            "--no-one-per-patient",
            "--quiet",
        ),
    ):
        assert script(*arguments, cwd=tmp_path).returncode == 0
    done = train(data, tmp_path / "out", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "162 images of 135 patients" in done.stdout
    metrics = report(tmp_path / "out")["metrics"]
    assert metrics["sensitivity"]["value"] >= 0.90
    assert metrics["specificity"]["value"] >= 0.90
    count = metrics["sensitivity"]["n_positive"] + metrics["specificity"]["n_negative"]
    assert count == len(report(tmp_path / "out")["held_out"])


# What bad input gets


def test_data_sets_that_cannot_be_trained_on_are_rejected(tmp_path):
    def run(*arguments):
        return script("train_covid19.py", "-d", "data", *arguments, cwd=tmp_path)

    refused(run(), "data set data does not exist")
    (tmp_path / "data").write_text("x")
    refused(run(), "data set data is a file")
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    refused(run(), "holds no images")
    classes(tmp_path / "data", covid=3)
    refused(run(), "one class only, covid")
    classes(tmp_path / "data", sick=2)
    refused(run("--positive-class", "normal"), "no class normal", "covid, sick")
    picture(tmp_path / "data" / "stray.png", 1)
    refused(run(), "stray.png", "outside of its class folders")
    assert set(tree(tmp_path)) == {name for name in tree(tmp_path) if name.startswith("data/")}


def test_too_few_images_for_a_split_are_rejected(tmp_path):
    classes(tmp_path / "data", covid=1, normal=6)
    refused(script("train_covid19.py", "-d", "data", cwd=tmp_path), "too few to hold out", "covid")
    (tmp_path / "data" / "covid" / "covid-000.png").rename(tmp_path / "data" / "covid" / "00000001_000.png")
    refused(script("train_covid19.py", "-d", "data", cwd=tmp_path), "class covid has images of one patient only")


def test_all_bad_files_are_named_at_once(tmp_path):
    from image_helpers import bad_files

    classes(tmp_path / "data", covid=3, normal=3)
    names = bad_files(tmp_path / "data" / "covid")
    done = script("train_covid19.py", "-d", "data", cwd=tmp_path)
    refused(done, f"{len(names)} of {len(names) + 6} images cannot be used", *names)
    assert "training" not in done.stdout
    assert not (tmp_path / "plot.png").exists()


def test_phantoms_and_real_radiographs_are_not_mixed(tmp_path):
    data = phantoms(tmp_path / "data", 2)
    picture(data / "covid" / "real.png", 1)
    refused(script("train_covid19.py", "-d", "data", cwd=tmp_path), "mixes 4 phantoms", "covid/real.png")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "0"),
        ("--epochs", "many"),
        ("--test-size", "1.5"),
        ("--rotations", "-1"),
        ("--batch-size", "0"),
        ("--learning-rate", "nan"),
        ("--seed", "-3"),
        ("--pooling", "middle"),
        ("--plot", "."),
        ("--model", "data/covid/covid-000.png/m.h5", "-p", "p.png", "--json", "j.json", "--no-report"),
        ("--plot", "same.png", "--evaluation-plot", "same.png"),
        ("--no-such-flag",),
    ],
)
def test_bad_arguments_are_rejected_before_anything_is_read(tmp_path, arguments):
    classes(tmp_path / "data", covid=2, normal=2)
    before = tree(tmp_path)
    # A TensorFlow that cannot be imported shows that none of this waits for it.
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "tensorflow.py").write_text("raise SystemError('imported')\n")
    done = script("train_covid19.py", "-d", "data", *arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path / "fake"))
    refused(done, arguments[0])
    assert tree(tmp_path).items() - before.items() == {("fake/tensorflow.py", digest(tmp_path / "fake/tensorflow.py"))}


def test_an_error_of_the_program_is_one_line_with_status_70(tmp_path):
    classes(tmp_path / "data", covid=3, normal=3)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "tensorflow.py").write_text("raise SystemError('half installed')\n")
    broken = {"PYTHONPATH": str(tmp_path / "fake"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = script("train_covid19.py", "-d", "data", cwd=tmp_path, **broken)
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert "half installed" in done.stderr
    assert "--verbose" in done.stderr
    assert "Traceback" in script("train_covid19.py", "-d", "data", "--verbose", cwd=tmp_path, **broken).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_without_permission_is_named(tmp_path):
    classes(tmp_path / "data", covid=2, normal=2)
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(script("train_covid19.py", "-d", "data", "-p", "locked/plot.png", cwd=tmp_path), "locked/plot.png")


@pytest.mark.parametrize("after", ["loading", "extracting", "training the head"])
def test_ctrl_c_leaves_nothing_half_written(tmp_path, after):
    classes(tmp_path / "data", covid=8, normal=8)
    (tmp_path / "plot.png").write_text("the old plot")
    command = [sys.executable, ROOT / "train_covid19.py", "-d", "data", "--no-cache", "--epochs", "100000"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if after in line.lower():
                break
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        said = running.stderr.read()
        assert running.wait(60) == 130
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert (tmp_path / "plot.png").read_text() == "the old plot"
    assert {name for name in tree(tmp_path) if not name.startswith("data/")} == {"plot.png"}


def test_names_of_classes_and_files_may_hold_any_character(tmp_path):
    odd = "$\\frac{1}{0}$ \x1b[31m🫁\n=1+1"
    data = classes(tmp_path / "data", covid=4, normal=4)
    (data / "normal").rename(data / odd)
    (data / "covid" / "covid-000.png").rename(data / "covid" / "=HYPERLINK(1)\n\x1b[2J.png")
    arguments = ("--epochs", 1, "--rotations", 0, "--no-report")
    done = inside("train_covid19.py", "-d", "data", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    for name in ("covid/covid-001.png", "covid/covid-002.png", f"{odd}/normal-001.png", f"{odd}/normal-002.png"):
        (data / name).unlink()
    done = inside("predict_covid19.py", "data", "--force", "--csv", "p.csv", "--gradcam", "cam", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout + (tmp_path / "p.csv").read_text()
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 5
    assert len(list((tmp_path / "cam").iterdir())) == 4
