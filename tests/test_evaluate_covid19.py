"""evaluate_covid19.py as a user runs it: predictions of any program, or a saved model, on a labelled folder."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, inside, rejected
from report_helpers import harmless
from sklearn import metrics

N = 16  # images of each class


@pytest.fixture(scope="module")
def folder(tmp_path_factory, phantoms_of):
    """Return a folder that holds a data set."""
    folder = tmp_path_factory.mktemp("evaluate")
    phantoms_of.write(folder / "d", N)
    return folder


@pytest.fixture(scope="module")
def files(folder):
    """Return the names of the images, those of covid first."""
    return [path.relative_to(folder / "d").as_posix() for path in sorted((folder / "d").glob("*/*.png"))]


@pytest.fixture(scope="module")
def scores(files):
    """Return probabilities of covid that another program might have predicted."""
    signal = np.array([1.0 if name.startswith("covid/") else -1.0 for name in files])
    return 1 / (1 + np.exp(-signal - 1.5 * np.random.default_rng(4).normal(size=len(files))))


def write(path, heading, rows):
    """Write a table as other programs do."""
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([heading, *rows])
    return path


def evaluate(folder, *arguments):
    """Run the script in a folder; it succeeds."""
    done = inside("evaluate_covid19.py", "-d", "d", *arguments, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def record(folder, where="evaluation"):
    """Return what the JSON file of an evaluation says."""
    return json.loads((folder / where / "evaluation.json").read_text())


def test_metrics_are_those_of_scikit_learn(folder, files, scores):
    write(folder / "p.csv", ["file", "p(covid)"], zip(files, scores, strict=True))
    done = evaluate(folder, "--predictions", "p.csv", "--prevalence", 0.1)
    found, truth = record(folder), np.arange(len(files)) < N
    said = scores >= 0.5
    matrix = metrics.confusion_matrix(~truth, ~said)
    assert found["metrics"]["confusion"] == matrix.tolist()
    sensitivity, specificity = matrix[0, 0] / N, matrix[1, 1] / N
    for name, value in {
        "accuracy": metrics.accuracy_score(truth, said),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "roc_auc": metrics.roc_auc_score(truth, scores),
        "average_precision": metrics.average_precision_score(truth, scores),
        "brier_score": metrics.brier_score_loss(truth, scores),
        "ppv": 0.1 * sensitivity / (0.1 * sensitivity + 0.9 * (1 - specificity)),
    }.items():
        assert found["metrics"][name]["value"] == pytest.approx(value, abs=1e-9), name
    assert {one["id"] for one in found["checks"]} >= {"image_border", "duplicates", "calibration"}
    assert found["images_without_prediction"] == found["rows_without_image"] == []
    assert {path.name for path in (folder / "evaluation").iterdir()} == {
        *("evaluation.json", "evaluation.png", "report.html")
    }
    page = (folder / "evaluation" / "report.html").read_text(encoding="utf-8")
    harmless(page)
    assert "Evaluation report" in page and "Grad-CAM" not in page and page.count("<details>") == 2 * N
    assert "metrics of covid v normal" in done.stdout
    assert done.stdout.splitlines()[-1] == "Report: evaluation/report.html"


def test_tensorflow_is_not_imported(folder, files, scores):
    write(folder / "tf.csv", ["file", "p(covid)"], zip(files, scores, strict=True))
    code = (
        "import sys, evaluate_covid19 as e; e.main(['-d', 'd', '--predictions', 'tf.csv', '-o', 'tf', '--quiet'])\n"
        "assert not {'tensorflow', 'keras'} & {*sys.modules}"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_decisions_alone_have_no_roc_auc(folder, files, scores):
    said = np.where(scores >= 0.3, "covid", "normal")
    write(folder / "said.csv", ["file", "prediction"], zip(files, said, strict=True))
    evaluate(folder, "--predictions", "said.csv", "-o", "said")
    found = record(folder, "said")["metrics"]
    assert found["sensitivity"]["value"] == (said[:N] == "covid").mean()
    assert found["roc_auc"] == found["brier_score"] == {"value": None, "reason": "decisions without probabilities"}


def test_images_and_rows_without_each_other_are_listed_and_a_comparison_is_paired(folder, files, scores):
    rows = [*zip(files[1:], scores[1:], strict=True), ("covid/strange.png", 0.4)]
    write(folder / "a.csv", ["file", "covid"], rows)
    write(folder / "b.csv", ["file", "covid"], zip(files, np.random.default_rng(0).random(2 * N), strict=True))
    done = evaluate(folder, "--predictions", "a.csv", "--compare", "b.csv", "-o", "pair")
    found = record(folder, "pair")
    assert found["images_without_prediction"] == [files[0]] and len(found["held_out"]) == 2 * N - 1
    assert found["rows_without_image"] == ["covid/strange.png"]
    assert f"no row of 1 image ({files[0]})" in done.stdout and "1 row of other images" in done.stdout
    difference = found["comparison"]["difference"]
    areas = found["comparison"]["roc_auc"]["value"] - found["comparison"]["compared_roc_auc"]["value"]
    assert difference["value"] == pytest.approx(areas) and difference["ci_low"] < areas < difference["ci_high"]
    assert "a.csv minus b.csv: +" in done.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--target-sensitivity", "0.9"], "looks better than it is"),
        (["-m", "missing.h5"], "missing.h5 is not a file"),
        (["-m", "a.h5", "--predictions", "a.csv"], "not allowed with"),
        (["--predictions", "missing.csv"], "No such file"),
        (["--logits"], "give it with --predictions"),
        (["--predictions", "bad.csv"], "p(tb) is of no class of the folder, whose classes are covid, normal"),
    ],
)
def test_what_cannot_be_meant_is_rejected_and_leaves_nothing_behind(folder, files, flags, words):
    write(folder / "bad.csv", ["file", "p(tb)"], [(name, 0.3) for name in files])
    rejected(inside("evaluate_covid19.py", "-d", "d", *flags, "-o", "bad", cwd=folder), words)
    assert not [*folder.glob("bad/*")]


@pytest.fixture(scope="module")
def model(folder):
    """Return a model that was trained on ten images a class of the data set."""
    for label in ("covid", "normal"):
        (folder / "t" / label).mkdir(parents=True)
        for path in sorted((folder / "d" / label).glob("*.png"))[:10]:
            shutil.copy(path, folder / "t" / label)
    flags = ("--recipe", "probe", "--pooling", "global", "--threshold", 0.45, "--quiet", "--no-report")
    done = inside("train_covid19.py", "-d", "t", "-m", "m.h5", *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "m.h5"


def test_a_model_is_evaluated_without_its_training_images(folder, model):
    done = evaluate(folder, "-m", "m.h5", "-o", "model")
    found = record(folder, "model")
    left_out = len(found["training_images_left_out"])
    assert left_out == 16 and len(found["held_out"]) == 2 * N - left_out
    assert f"left out: {left_out} images that the model was trained on" in done.stdout
    page = (folder / "model" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="heat"') == 2 * N - left_out
    # What predict_covid19.py writes is accepted as it is, threshold included.
    done = inside("predict_covid19.py", "-m", "m.h5", "d", "--csv", "p.csv", "--no-report", "--force", cwd=folder)
    assert done.returncode == 0, done.stderr
    evaluate(folder, "--predictions", "p.csv", "-o", "again")
    again = record(folder, "again")
    assert again["threshold"] == found["threshold"] == 0.45
    probabilities = {one["file"]: one["probabilities"]["covid"] for one in again["held_out"]}
    for one in found["held_out"]:
        assert probabilities[one["file"]] == pytest.approx(one["probabilities"]["covid"], abs=1e-5)


def test_a_model_of_other_classes_or_of_these_images_is_rejected(folder, model):
    shutil.copytree(folder / "t" / "covid", folder / "o" / "ill")
    shutil.copytree(folder / "t" / "normal", folder / "o" / "well")
    done = inside("evaluate_covid19.py", "-d", "o", "-m", "m.h5", "--positive-class", "ill", cwd=folder)
    rejected(done, "predicts covid, normal, and the classes of the folder are ill, well")
    for image in json.loads((folder / "m.json").read_text())["train"]:
        (folder / "seen" / image["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "t" / image["file"], folder / "seen" / image["file"])
    done = inside("evaluate_covid19.py", "-d", "seen", "-m", "m.h5", "-o", "nothing", cwd=folder)
    rejected(done, "without the 16 images that m.h5 was trained on, no image of covid, normal is left")
    assert not [*folder.glob("nothing/*")]
