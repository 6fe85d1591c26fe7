"""predict_covid19.py: predictions, overlays, and model files that must not be trusted."""

from __future__ import annotations

import csv
import json
import pickle
import re
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import classes, inside, picture, refusal, refused, script, tree
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector import InputError
from detector.datasets import clinical, manifest
from detector.images.phantom import draw
from detector.network import model_file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a data set and a model trained on it, in both formats."""
    folder = tmp_path_factory.mktemp("predict")
    classes(folder / "data", covid=6, normal=6)
    for name in ("m.h5", "m.keras"):
        done = inside(
            "train_covid19.py",
            "-d",
            "data",
            "-m",
            name,
            "--epochs",
            2,
            "--rotations",
            0,
            "--quiet",
            "--no-report",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
    return folder


def test_predictions_are_the_reported_ones_in_every_format(trained, tmp_path):
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
    again = inside(
        "predict_covid19.py",
        "-m",
        trained / "m.keras",
        trained / "data",
        "--force",
        "--json",
        "k.json",
        "--no-report",
        cwd=tmp_path,
    )
    assert again.returncode == 0, again.stderr
    keras = json.loads((tmp_path / "k.json").read_text())["predictions"]
    for one, other in zip(found["predictions"], keras, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_a_bad_file_is_named_and_the_others_are_answered(trained, tmp_path):
    (tmp_path / "bad\nname.png").write_text("no image")
    picture(tmp_path / "good.png", 1)
    done = script("predict_covid19.py", "-m", trained / "m.h5", "--force", ".", "missing.png", cwd=tmp_path)
    assert done.returncode == 1
    assert "good.png" in done.stdout
    assert done.stderr.count("\n") == 2
    assert "bad\\nname.png: not a readable image" in done.stderr
    assert "missing.png: No such file" in done.stderr


def test_no_class_is_predicted_for_what_is_no_chest_radiograph(trained, tmp_path):
    picture(tmp_path / "noise.png", 1)
    photograph = np.zeros((300, 300, 3), np.uint8)
    photograph[..., 0], photograph[..., 2] = np.linspace(60, 255, 300), np.linspace(0, 90, 300)[:, None]
    Image.fromarray(photograph).save(tmp_path / "photograph.jpg")
    Image.new("L", (300, 300), 90).save(tmp_path / "grey.png")
    phantom = cv2.cvtColor(draw(True, 3), cv2.COLOR_GRAY2RGB)
    Image.fromarray(phantom).save(tmp_path / "radiograph.png")
    arguments = ("predict_covid19.py", "-m", trained / "m.h5", "noise.png", "photograph.jpg", "grey.png")
    done = inside(*arguments, "radiograph.png", "--json", "p.json", cwd=tmp_path)
    assert done.returncode == 1
    assert [one["file"] for one in json.loads((tmp_path / "p.json").read_text())["predictions"]] == ["radiograph.png"]
    for words in ("noise.png: no lungs were found", "photograph.jpg: a colour image", "grey.png: shows nothing"):
        assert words in done.stderr, done.stderr
    assert re.search(r"^1 image: [01] covid, [01] normal; 3 files skipped$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("JSON: p.json\nReport: predictions.html\n")
    done = inside(*arguments, "--force", "--no-report", cwd=tmp_path)
    assert "2 images: " in done.stdout and "; 1 file skipped" in done.stdout


def test_a_bad_folder_a_pattern_and_an_address(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("a.png", "b.png"):
        picture(tmp_path / "some" / name, 1)
    given = ("some/*.png", "empty", "https://example.org/x.png", "no*.png")
    done = inside("predict_covid19.py", "-m", trained / "m.h5", *given, "--force", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["class", "p(covid)", "file"]
    assert [line.split()[-1] for line in lines[1:3]] == ["some/a.png", "some/b.png"]
    # The pictures are those of the training set.
    assert lines[3].startswith("some/a.png, some/b.png: the model was trained on this very file")
    assert "; 3 files skipped" in lines[4]
    assert "empty holds no images" in done.stderr
    assert "https://example.org/x.png is a URL" in done.stderr
    assert "no*.png: No such file" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "predictions.csv",
        "predictions.html",
        "predictions.json",
    ]


def test_overlays(trained, tmp_path):
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


def test_grad_cam_finds_what_speaks_for_the_class(weights):
    """A head that reads one channel of the upper left cells has its heat where that channel is."""
    from detector.network.gradcam import heat_maps, seen_cells
    from detector.network.model import Description, join

    hidden, output = np.zeros((512, 64), np.float32), np.zeros((64, 2), np.float32)
    pixels = np.zeros((1, 224, 224, 3), np.float32)
    pixels[0, 40:90, 40:90] = np.random.default_rng(0).random((50, 50, 3))
    hidden[:, 0], output[0, 0] = 1.0, 1.0
    zeros = np.zeros(64, np.float32), np.zeros(2, np.float32)
    model = join(weights, [hidden, zeros[0], output, zeros[1]], Description(["a", "b"], "a", "tutorial", "tutorial"))
    (heat,) = heat_maps(model)(pixels, np.array([0]))
    assert heat.shape == (14, 14)
    assert heat.max() == 1.0
    assert seen_cells(model) == 8
    assert not heat[8:].any()
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 1 <= row <= 6
    assert 1 <= column <= 6
    assert not heat_maps(model)(pixels, np.array([1])).any()


# Models from strangers


def hostile(folder: Path, honest: Path) -> dict[str, str]:
    """Write one hostile or broken model of each sort; return name → a word of what is said of it."""
    import h5py
    import keras

    class Bomb:
        def __reduce__(self):
            return (Path(folder / "it-ran").touch, ())

    (folder / "pickle.h5").write_bytes(pickle.dumps(Bomb()))
    (folder / "text.h5").write_text("model")
    (folder / "empty.h5").write_bytes(b"")
    (folder / "half.h5").write_bytes((honest / "m.h5").read_bytes()[:30_000_000])
    inputs = keras.Input((224, 224, 3))
    evil = keras.Model(inputs, keras.layers.Lambda(lambda x: x, name="evil")(inputs))
    evil.save(folder / "lambda.keras")
    evil.save(folder / "lambda.h5")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(folder / "other.h5")

    def changed(name: str):
        shutil.copy(honest / "m.h5", folder / name)
        return h5py.File(folder / name, "r+")

    with changed("lambda-within.h5") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][3]["class_name"] = "Lambda"
        file.attrs["model_config"] = json.dumps(config)
    with changed("shape.h5") as file:
        del file["model_weights/hidden/hidden/kernel"]
        file["model_weights/hidden/hidden/kernel"] = np.zeros((4, 4), np.float32)
    with changed("external.h5") as file:
        del file["model_weights/hidden/hidden/bias"]
        file["model_weights/hidden/hidden/bias"] = h5py.ExternalLink("/etc/passwd", "x")
    with changed("raw-file.h5") as file:
        del file["model_weights/hidden/hidden/bias"]
        file["model_weights/hidden/hidden"].create_dataset(
            "bias", (64,), np.float32, external=[("/etc/hostname", 0, 256)]
        )
    with changed("compressed.h5") as file:
        del file["model_weights/hidden/hidden/bias"]
        file["model_weights/hidden/hidden"].create_dataset("bias", (64,), np.float32, compression="gzip")
    with changed("nan.h5") as file:
        file["model_weights/hidden/hidden/bias"][0] = np.nan
    with changed("classes.h5") as file:
        file.attrs["covid19_detector"] = json.dumps({"version": 1, "classes": "covid"})
    with zipfile.ZipFile(folder / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", "covid19_detector.json"):
            archive.writestr(name, "{}")
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(2**20))
    return {
        "pickle.h5": "neither HDF5 nor",
        "text.h5": "neither HDF5 nor",
        "empty.h5": "neither HDF5 nor",
        "half.h5": "half.h5",
        "lambda.keras": "no covid19_detector.json",
        "lambda.h5": "description",
        "other.h5": "description",
        "lambda-within.h5": "Lambda layer",
        "shape.h5": "shape (4, 4)",
        "external.h5": "not in the file itself",
        "raw-file.h5": "outside of the file",
        "compressed.h5": "compressed",
        "nan.h5": "not finite",
        "classes.h5": "description",
        "bomb.keras": "300 MiB",
    }


def test_models_from_strangers_are_refused_and_do_nothing(trained, tmp_path):
    words = hostile(tmp_path, trained)
    before = tree(tmp_path)
    for name, word in words.items():
        with refusal(name) as caught:
            model_file.read(tmp_path / name)
        assert word in str(caught.value), caught.value
        assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before
    picture(tmp_path / "a.png", 1)
    refused(script("predict_covid19.py", "-m", "lambda-within.h5", "a.png", cwd=tmp_path), "Lambda layer")


def test_an_audit_of_a_model_with_another_base_or_pooling(trained, tmp_path):
    import h5py

    shutil.copy(trained / "m.h5", tmp_path / "m.h5")
    arguments = ("audit_covid19.py", "-d", trained / "data", "--external", trained / "data", "-m", "m.h5")
    refused(script(*arguments, "--pooling", "global", cwd=tmp_path), "was trained with --pooling tutorial")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["model_weights/block1_conv1/block1_conv1/bias"][0] += 1
    refused(script(*arguments, cwd=tmp_path), "another base than ImageNet's")


def test_an_honest_model_is_read(trained):
    weights, head, description, decoder = model_file.read(trained / "m.h5")
    assert len(weights) == 13
    assert [array.shape for array in head] == [(512, 64), (64,), (64, 2), (2,)]
    assert description.classes == ["covid", "normal"]
    assert (description.input, decoder) == ("image", None)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_mutated_models_are_read_or_refused(trained, tmp_path_factory, data):
    """The first bytes hold the structure; what is flipped there must end in a model or in a sentence."""
    whole = bytearray((trained / "m.h5").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 60_000))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"mutated-{sys.platform}.h5"
    path.write_bytes(whole)
    try:
        model_file.read(path)
    except InputError as error:
        assert path.name in str(error)


def test_bad_arguments(trained, tmp_path):
    picture(tmp_path / "a.png", 1)
    refused(script("predict_covid19.py", "a.png", cwd=tmp_path), "covid19.model.h5 is not a file")
    refused(script("predict_covid19.py", "-m", trained / "m.h5", cwd=tmp_path), "FILE_OR_DIR")
    (tmp_path / "empty").mkdir()
    refused(script("predict_covid19.py", "-m", trained / "m.h5", "empty", cwd=tmp_path), "empty holds no images")
    refused(script("predict_covid19.py", "-m", trained / "m.h5", "a.png", "--csv", ".", cwd=tmp_path), "--csv")
    done = script("predict_covid19.py", "-m", trained / "m.h5", "a.png", "--clinical-csv", "c.csv", cwd=tmp_path)
    refused(done, "trained without clinical values")


# Clinical values


ROWS = [
    {"age": "30", "sex": "M", "note": "a"},
    {"age": "50", "sex": "f", "note": "b"},
    {"age": "", "sex": "M", "note": "c"},
    {"age": "nan", "sex": "unknown", "note": "d"},
]


def test_encoding_is_learnt_from_training_and_marks_what_is_missing():
    columns = clinical.fit(["age", "sex"], ROWS)
    encoded = clinical.encode(columns, [*ROWS, {"age": "999999", "sex": "other"}])
    assert encoded.shape == (5, 2 + 3)
    assert encoded[:, 0].tolist() == [-1, 1, 0, 0, 5]
    assert encoded[:, 1].tolist() == [0, 0, 1, 1, 0]
    assert encoded[:, 2:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert [clinical.checked(column) for column in json.loads(json.dumps(columns))] == columns


def test_columns_that_cannot_be_used():
    with refusal("--clinical-columns weight is no column"):
        clinical.fit(["weight"], ROWS)
    with refusal("age has no value"):
        clinical.fit(["age"], ROWS[2:])
    with refusal("30 different values"):
        clinical.fit(["note"], [{"note": f"text {i}"} for i in range(30)])


def test_absence_that_tells_the_classes_apart_stops_training():
    labels = np.array([0, 0, 1, 1])
    with refusal(r"age.*AUC 1.00.*--controls-output.*--allow-informative-missingness"):
        clinical.require_no_missing_shortcut(["age"], ROWS, labels)
    clinical.require_no_missing_shortcut(["age"], ROWS, np.array([0, 1, 0, 1]))


def test_training_and_predicting_with_clinical_values(tmp_path):
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
        manifest.write(data / label, rows, ["age", "sex"])
    arguments = ("-d", "data", "--epochs", 2, "--rotations", 0, "--quiet", "--no-report")
    done = inside("train_covid19.py", *arguments, "--clinical-columns", "age,sex", "-m", "m.h5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    refused(script("predict_covid19.py", "-m", "m.h5", "data", cwd=tmp_path), "file, age, sex")
    (tmp_path / "values.csv").write_text("file,age\na.png,3\n")
    refused(
        script("predict_covid19.py", "-m", "m.h5", "data", "--clinical-csv", "values.csv", cwd=tmp_path),
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
    manifest.write(
        data / "normal", [row | {"age": ""} for row in manifest.read(data / "normal").values()], ["age", "sex"]
    )
    refused(script("train_covid19.py", *arguments, "--clinical-columns", "age", cwd=tmp_path), "missing", "--controls")
