"""What is refused and has no test of its own elsewhere: rare damage, and what root and luck would not show."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import classes, picture, refusal, refused, script
from PIL import Image

from detector.collections import cohen, csv_table
from detector.datasets import clinical_table, manifest
from detector.images import occlusion, radiographs
from detector.images.network_input import NetworkInput
from detector.network import backbone, model_file, weights
from detector.statistics import split
from detector.storage.cache import Cache

COLUMN = [{"name": "age", "mean": 50.0, "deviation": 9.0}]
HEADING = ",".join(manifest.COLUMNS).encode()


@pytest.fixture
def unreadable(monkeypatch):
    """Make every file unreadable, as permissions would for anyone but root."""

    def read_bytes(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


def test_files_without_permission(tmp_path, unreadable):
    (tmp_path / "manifest.csv").write_text("x")
    (tmp_path / "metadata.csv").write_text("x")
    for read in (
        lambda: manifest.read(tmp_path),
        lambda: cohen.read(tmp_path),
        lambda: clinical_table.read(tmp_path / "metadata.csv", COLUMN),
        lambda: model_file.read(tmp_path / "metadata.csv"),
        lambda: radiographs.read(tmp_path / "metadata.csv"),
    ):
        with refusal("(?i)permission denied"):
            read()


def test_tables_that_are_no_files(tmp_path):
    (tmp_path / "manifest.csv").mkdir()
    (tmp_path / "metadata.csv").mkdir()
    with refusal("no regular file"):
        manifest.read(tmp_path)
    with refusal("no regular file"):
        cohen.read(tmp_path)
    with refusal("not a file"):
        clinical_table.read(tmp_path, COLUMN)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"file,label\n", "has no column patient"),
        (HEADING + b",view\n", "has the column view twice"),
        (HEADING + b"\na.png,covid\n", "2 cells under 10 headings"),
        (HEADING + b'\n"a', "line 2: not CSV"),
    ],
)
def test_manifests(data, said):
    with refusal(said):
        manifest.parse(data, Path("manifest.csv"))


def test_a_build_that_breaks_off(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID19_CACHE", str(tmp_path / "cache"))

    def full(row, target):
        raise OSError(28, "No space left on device")

    row = dict.fromkeys(manifest.COLUMNS, "") | {"file": "a.png"}
    with refusal("covid cannot be built: no space left on device; it holds images of the last build"):
        manifest.replace(tmp_path / "covid", [row], "somewhere", full)


def test_clinical_tables():
    with refusal("has no column file, age"):
        clinical_table.parse(b"\xff\xfe", Path("values.csv"), ["age"])
    with refusal("--clinical-csv values.csv is a web page"):
        clinical_table.parse(b"<!DOCTYPE html>", Path("values.csv"), ["age"])
    for text in ("File;AGE\nx/a.png;7\n", "sep=\t\nfile\tage\nx\\a.png\t7\n"):
        assert clinical_table.parse(text.encode("utf-16"), Path("values.csv"), ["age"]) == {"a.png": {"age": "7"}}


def test_metadata(tmp_path, monkeypatch):
    with refusal("line 2: not CSV"):
        cohen.parse_metadata(b'patientid,finding\n"1', Path("metadata.csv"))
    (tmp_path / "metadata.csv").write_text("x" * 100)
    monkeypatch.setattr(csv_table, "MAX_BYTES", 10)
    with refusal("that of covid-chestxray-dataset is smaller"):
        cohen.read(tmp_path)
    with refusal("metadata.csv is missing"):
        cohen.read(Path("/"))
    with refusal("is not a folder"):
        cohen.read(tmp_path / "nowhere")


def test_files_that_are_too_large(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x" * 100)
    monkeypatch.setattr(model_file, "MAX_BYTES", 10)
    monkeypatch.setattr(radiographs, "MAX_BYTES", 10)
    with refusal("more than a model of this project has"):
        model_file.read(tmp_path / "a")
    with refusal("MiB, more than"):
        radiographs.read(tmp_path / "a")


def test_models_that_contradict_themselves():
    values = {
        "classes": ["a", "b"],
        "positive": "c",
        "recipe": "tutorial",
        "pooling": "tutorial",
        "input": "image",
        "threshold": None,
        "clinical": [],
        "version": 2,
    }
    with refusal("contradicts itself"):
        model_file._description(json.dumps(values), b"")
    description = model_file._description(json.dumps(values | {"positive": "a"}), b"")
    config = [{"class_name": "Dense", "config": {"name": "hidden"}}]
    with refusal("its layers are not those"):
        model_file._require_architecture(json.dumps({"config": {"layers": config}}), description)


def test_masks(tmp_path):
    picture(tmp_path / "masks" / "another.png", 1)
    with refusal("not a folder"):
        occlusion.find_masks(tmp_path / "nowhere", [])
    with refusal("holds no mask of any image"):
        occlusion.find_masks(tmp_path / "masks", [Path("a.png")])


@pytest.mark.parametrize(("value", "said"), [(np.nan, "not finite"), (np.inf, "not finite")])
def test_pixel_values_that_cannot_be_scaled(value, said):
    values = np.linspace(0, 1, 81, dtype=np.float32).reshape(9, 9)
    values[3:] = value
    data = io.BytesIO()
    Image.fromarray(values).save(data, "TIFF")
    with refusal(said):
        radiographs.from_bytes(data.getvalue(), "a.tif")


def test_splits_that_luck_does_not_give(monkeypatch):
    labels = np.array([0, 0, 1, 1])
    with refusal("leaves no covid among the held-out images"):
        split._require_all_classes(labels, np.array([0, 1]), np.array([2, 3]), ["covid", "normal"])
    monkeypatch.setattr(split, "ATTEMPTS", 0)
    with refusal("no 2 folds could be drawn"):
        split.folds(labels, np.arange(4).astype(str), ["covid", "normal"], 2, 0)


def test_kept_weights_of_another_length(tmp_path):
    (tmp_path / "short").write_bytes(bytes(100))
    (tmp_path / "long").write_bytes(bytes(4 * 14_714_689))
    for name in ("short", "long"):
        with refusal(f"is too {name}"):
            weights.read_kept(tmp_path / name)


def test_features_that_are_not_finite(tmp_path, monkeypatch, weights):
    base = backbone.Backbone(weights, Cache(None))
    nothing = np.full((1, backbone.WIDTH), np.nan, np.float32), np.zeros((1, 0, 0), bool)
    monkeypatch.setattr(base, "forward", lambda *ignored: nothing)
    view = NetworkInput(tmp_path / "a.png", "0" * 64, 0.0, "")
    with refusal("bfloat16 features that are not finite"):
        base.features([view], "bfloat16", lambda view: np.zeros((224, 224, 3), np.uint8), iter)


def test_a_class_that_is_called_like_the_controls(tmp_path):
    from detector.audit.image_sets import CONTROLS

    classes(tmp_path / "data", covid=1, **{CONTROLS: 1})
    refused(script("audit_covid19.py", "-d", "data", cwd=tmp_path), "has a class named")


def test_dicom_headers(tmp_path):
    from detector.images import dicom

    with refusal("not a DICOM file"):
        dicom.parse_header(b"no mark", "a.dcm", ("PatientAge",))
    head = b"\0" * 128 + b"DICM"
    with refusal("deflated DICOM"):
        dicom.parse_header(head + dicom.DEFLATED, "a.dcm", ("PatientAge",))
    with refusal("a DICOM header that cannot be read|not a DICOM"):
        dicom.parse_header(head + b"\2\0\0\0UL\4\0" + b"\xff" * 3, "a.dcm", ("PatientAge",))


def test_patients_that_cannot_be_read(tmp_path, unreadable):
    from detector.datasets import write_manifests

    (tmp_path / "who.csv").write_text("file,patient\n")
    with refusal("--patients .* cannot be read"):
        write_manifests.read_patients(tmp_path / "who.csv")


def sites(*pairs):
    """Return a data set of images with a label and a site each."""
    from detector.datasets.dataset import Dataset, Image

    images = [Image(Path(f"{i}"), f"{label}/{i}", label, f"p{i}", o, o, {}) for i, (label, o) in enumerate(pairs)]
    return Dataset(images, sorted({label for label, _ in pairs}))


def test_sources_that_cannot_be_left_out():
    from detector.training import leave_one_out
    from detector.training.crossvalidation import OperatingPoint
    from detector.training.evaluation_result import TrainingProtocol
    from detector.training.feature_set import FeatureSet
    from detector.training.recipes import ProbeRecipe

    with refusal("no site holds both covid and another class"):
        leave_one_out.sources_of_both_classes(sites(("covid", "a"), ("normal", "b")), 0)
    with refusal("without a no normal is left to train on"):
        leave_one_out.sources_of_both_classes(sites(("covid", "a"), ("normal", "a"), ("covid", "b")), 0)
    labels, where = np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"])
    # The second normal is of the first's patient.
    groups = np.array(["1", "2", "3", "2"])
    samples = FeatureSet(np.zeros((4, 1, 2)), np.zeros((4, 2)), labels, groups, where, ["covid", "normal"], [{}] * 4)
    with refusal("without the patients of a one class is left to train on"):
        protocol = TrainingProtocol(ProbeRecipe(), 0, OperatingPoint(), 0)
        leave_one_out.evaluate_left_out(samples, where, "a", protocol, "auto")


def test_strata_that_hold_one_class():
    from detector.command_line import Log
    from detector.training.adjustment import is_adjusted

    labels, strata, sides = np.array([0, 1]), np.array(["a, PA", "b, PA"]), [np.arange(2)]
    assert not is_adjusted("auto", labels, strata, ["covid", "normal"], sides, Log(True))
    assert not is_adjusted("none", labels, strata, ["covid", "normal"], sides, Log(True))
    with refusal("--adjust strata: not every class shares a site and view"):
        is_adjusted("strata", labels, strata, ["covid", "normal"], sides, Log(True))
