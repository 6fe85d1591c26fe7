"""predict_covid19.py as a user runs it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import classes, inside, picture, rejected
from image_helpers import write_dicom
from PIL import Image

from detector.datasets import manifest
from detector.images.phantom import draw


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a data set and a model trained on it."""
    folder = tmp_path_factory.mktemp("predict")
    classes(folder / "data", covid=6, normal=6)
    few = ("--epochs", 2, "--rotations", 0, "--quiet", "--no-report")
    done = inside("train_covid19.py", "-d", "data", "-m", "m.h5", *few, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_predictions_are_the_reported_ones(trained, tmp_path):
    done = inside(
        *(
            "predict_covid19.py",
            "-m",
            trained / "m.h5",
            trained / "data",
            "--force",
            "--csv",
            "p.csv",
            "--json",
            "p.json",
            "--no-report",
        ),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "never a diagnosis" in done.stdout
    reported = json.loads((trained / "m.json").read_text())["held_out"]
    found = json.loads((tmp_path / "p.json").read_text())
    assert len(found["predictions"]) == 12
    by_file = {Path(one["file"]).name: one["probabilities"] for one in found["predictions"]}
    for image in reported:
        for label, value in image["probabilities"].items():
            assert abs(by_file[Path(image["file"]).name][label] - value) < 1e-5
    with open(tmp_path / "p.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["p(covid)"]) for row in table] == [p["probabilities"]["covid"] for p in found["predictions"]]


def test_no_class_is_predicted_for_an_image_that_is_no_chest_radiograph(trained, tmp_path):
    picture(tmp_path / "noise.png", 1)
    photograph = np.zeros((300, 300, 3), np.uint8)
    photograph[..., 0], photograph[..., 2] = np.linspace(60, 255, 300), np.linspace(0, 90, 300)[:, None]
    Image.fromarray(photograph).save(tmp_path / "photograph.jpg")
    Image.new("L", (300, 300), 90).save(tmp_path / "grey.png")
    phantom = cv2.cvtColor(draw(True, 3), cv2.COLOR_GRAY2RGB)
    for name in ("radiograph.png", "view2_lateral.png"):
        Image.fromarray(phantom).save(tmp_path / name)
    write_dicom(tmp_path / "ct.dcm", phantom[..., 0].astype(int), 8, "MONOCHROME2", Modality="CT")
    arguments = ("predict_covid19.py", "-m", trained / "m.h5", "noise.png", "photograph.jpg", "grey.png", "ct.dcm")
    done = inside(*arguments, "radiograph.png", "view2_lateral.png", "--json", "p.json", cwd=tmp_path)
    assert done.returncode == 1
    predicted = {one["file"]: one["note"] for one in json.loads((tmp_path / "p.json").read_text())["predictions"]}
    assert predicted == {"radiograph.png": "", "view2_lateral.png": "a lateral view"}
    assert "view2_lateral.png: a lateral view" in done.stdout.splitlines()
    assert "ct.dcm: of another modality (CT), so no class is predicted" in done.stderr, done.stderr
    for words in ("noise.png: no lungs were found", "photograph.jpg: a colour image", "grey.png: shows nothing"):
        assert words in done.stderr, done.stderr
    assert re.search(r"^2 images: [02] covid, [02] normal; 4 files skipped$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("JSON: p.json\nReport: predictions.html\n")
    done = inside(*arguments, "--force", "--no-report", cwd=tmp_path)
    assert "3 images: " in done.stdout and "; 1 file skipped" in done.stdout


def test_a_bad_folder_a_pattern_and_a_url_are_named(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("a.png", "b.png"):
        picture(tmp_path / "some" / name, 1)
    (tmp_path / "bad\nname.png").write_text("no image")
    given = ("some/*.png", "bad\nname.png", "empty", "no*.png")
    done = inside("predict_covid19.py", "-m", trained / "m.h5", *given, "--force", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    lines = lines[next(at for at, line in enumerate(lines) if line.startswith("class ")) :]
    assert lines[0].split() == ["class", "p(covid)", "file"]
    assert [line.split()[-1] for line in lines[1:3]] == ["some/a.png", "some/b.png"]
    # The pictures are those of the training set.
    known = "2 images: some/a.png, some/b.png: no lungs were found; a training image of this"
    assert lines[3] == "covid from p(covid) = 0.5 on"
    assert lines[4].startswith(known)
    assert lines[5].startswith("  ") and "; 3 files skipped" in lines[6]
    assert "empty holds no images" in done.stderr
    assert "bad\\nname.png: not a readable image" in done.stderr
    url = "https://example.org/x.png"
    rejected(inside("predict_covid19.py", "-m", trained / "m.h5", url, cwd=tmp_path), f"{url} is a URL")
    assert "no*.png: No such file" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "predictions.csv",
        "predictions.html",
        "predictions.json",
    ]


def test_a_threshold_stands_beside_the_predictions_it_decides(trained, tmp_path):
    given = ("-m", trained / "m.h5", trained / "data" / "covid", "--force", "--csv", "p.csv", "--no-report")
    for threshold, label in ((0.001, "covid"), (0.999, "normal")):
        done = inside("predict_covid19.py", *given, "--threshold", threshold, cwd=tmp_path)
        assert done.returncode == 0 and f"covid from p(covid) = {threshold} on" in done.stdout
        with open(tmp_path / "p.csv", newline="") as file:
            assert {(row["class"], row["threshold"]) for row in csv.DictReader(file)} == {(label, str(threshold))}
    rejected(inside("predict_covid19.py", *given, "--threshold", 2, cwd=tmp_path), "not a number between 0 and 1")


def test_a_grad_cam_is_written_for_each_image(trained, tmp_path):
    for name in ("a/x.png", "b/x.png"):
        picture(tmp_path / name, 5, (300, 200))
    done = inside(
        "predict_covid19.py", "-m", trained / "m.h5", "a", "b", "--force", "--gradcam", "cam", "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    overlays = sorted((tmp_path / "cam").glob("*.png"))
    assert [path.name for path in overlays] == ["a-x.png.gradcam.png", "b-x.png.gradcam.png"]
    with Image.open(overlays[0]) as figure:
        assert min(figure.size) > 400
    assert (tmp_path / "cam" / "predictions.html").is_file()


# Untrusted models


def test_a_model_with_another_base_or_pooling_is_rejected(trained, tmp_path):
    import h5py

    shutil.copy(trained / "m.h5", tmp_path / "m.h5")
    arguments = ("audit_covid19.py", "-d", trained / "data", "--external", trained / "data", "-m", "m.h5")
    rejected(inside(*arguments, "--pooling", "global", cwd=tmp_path), "was trained with --pooling tutorial")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["model_weights/block1_conv1/block1_conv1/bias"][0] += 1
    rejected(inside(*arguments, cwd=tmp_path), "another base than ImageNet's")


def test_bad_arguments_are_rejected(trained, tmp_path):
    picture(tmp_path / "a.png", 1)
    rejected(inside("predict_covid19.py", "a.png", cwd=tmp_path), "covid19.model.h5 is not a file")
    rejected(inside("predict_covid19.py", "-m", trained / "m.h5", cwd=tmp_path), "FILE_OR_DIR")
    (tmp_path / "empty").mkdir()
    rejected(inside("predict_covid19.py", "-m", trained / "m.h5", "empty", cwd=tmp_path), "empty holds no images")
    rejected(inside("predict_covid19.py", "-m", trained / "m.h5", "a.png", "--csv", ".", cwd=tmp_path), "--csv")
    done = inside("predict_covid19.py", "-m", trained / "m.h5", "a.png", "--clinical-csv", "c.csv", cwd=tmp_path)
    rejected(done, "trained without clinical values")


def test_a_model_that_keras_saved_again_needs_its_classes(trained, tmp_path):
    import keras

    picture(tmp_path / "a.png", 1)
    keras.models.load_model(trained / "m.h5", compile=False).save(tmp_path / "again.h5")
    predict = ("predict_covid19.py", "a.png", "--force", "-m", "again.h5")
    rejected(inside(*predict, cwd=tmp_path), "without the names of its 2 classes; give them with --classes")
    done = inside(*predict, "--classes", "covid,normal", "-o", "o", cwd=tmp_path)
    assert done.returncode == 0 and "its classes are those of --classes" in done.stderr, done.stderr
    said = json.loads((tmp_path / "o/predictions.json").read_text())
    assert "its classes are those of --classes" in said["model_note"]
    assert "saved by Keras without a description" in (tmp_path / "o/predictions.html").read_text()


# Clinical values


def test_clinical_values_are_used_in_training_and_prediction(tmp_path):
    data = classes(tmp_path / "data", covid=6, normal=6)
    for label in ("covid", "normal"):
        rows = [
            {
                "file": f"{label}-{i:03d}.png",
                "patient": f"{label}{i}",
                "source": "s",
                "age": str(30 + i),
                "sex": "MF"[i % 2],
            }
            for i in range(6)
        ]
        manifest.write(data / label, rows)
    arguments = ("-d", "data", "--epochs", 2, "--rotations", 0, "--quiet", "--no-report")
    done = inside("train_covid19.py", *arguments, "--clinical-columns", "age,sex", "-m", "m.h5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rejected(inside("predict_covid19.py", "-m", "m.h5", "data", cwd=tmp_path), "file, age, sex")
    (tmp_path / "values.csv").write_text("file,age\na.png,3\n")
    rejected(
        inside("predict_covid19.py", "-m", "m.h5", "data", "--clinical-csv", "values.csv", cwd=tmp_path),
        "no column sex",
    )
    files = [f"{label}-{i:03d}.png,{30 + i},{'MF'[i % 2]}" for label in ("covid", "normal") for i in range(6)]
    (tmp_path / "values.csv").write_text("\n".join(["file,age,sex", *files, ""]))
    done = inside(
        *(
            "predict_covid19.py",
            "-m",
            "m.h5",
            "data",
            "--clinical-csv",
            "values.csv",
            "--force",
            "--json",
            "p.json",
            "--no-report",
        ),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    one = ("data/covid/covid-000.png", "--clinical-csv", "values.csv", "--force", "--gradcam", "cam", "--no-report")
    assert inside("predict_covid19.py", "-m", "m.h5", *one, cwd=tmp_path).returncode == 0
    assert len(list((tmp_path / "cam").iterdir())) == 1
    by_file = {
        Path(one["file"]).name: one["probabilities"]
        for one in json.loads((tmp_path / "p.json").read_text())["predictions"]
    }
    for image in json.loads((tmp_path / "m.json").read_text())["held_out"]:
        assert by_file[Path(image["file"]).name]["covid"] == pytest.approx(image["probabilities"]["covid"], abs=1e-5)
    manifest.write(data / "normal", [row | {"age": ""} for row in manifest.read(data / "normal").values()])
    rejected(inside("train_covid19.py", *arguments, "--clinical-columns", "age", cwd=tmp_path), "missing", "--controls")
