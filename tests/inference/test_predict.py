"""A model in other programs: paths, bytes, arrays, from several threads; files given, below folders, by pattern."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, picture, rejection

from detector import load_model
from detector.inference.predict import list_images
from detector.network.model_file import Description, SavedModel, as_file


@pytest.fixture(scope="module")
def path(tmp_path_factory, weights):
    """Return the file of a model with clinical values, of which the head is drawn."""
    clinical = [{"name": "age", "mean": 50.0, "deviation": 10.0}, {"name": "sex", "categories": ["f", "m"]}]
    description = Description(["covid", "normal"], "covid", "tutorial", "global", 0.4, clinical)
    generator = np.random.default_rng(0)
    head = [
        generator.normal(size=size).astype(np.float32) * 0.1
        for shape in description.head_sizes.values()
        for size in (shape, shape[-1:])
    ]
    file = tmp_path_factory.mktemp("model") / "m.h5"
    file.write_bytes(as_file(SavedModel(weights, head, description)))
    return file


@pytest.fixture(scope="module")
def model(path):
    """Return the model, which predicts a class for anything."""
    return load_model(path, force=True)


@pytest.fixture(scope="module")
def image(tmp_path_factory, phantoms_of):
    """Return the path of a phantom."""
    return next(iter(sorted(phantoms_of.write(tmp_path_factory.mktemp("image") / "d", 1).glob("covid/*.png"))))


def test_path_bytes_and_array_of_an_image_are_the_same(model, image):
    pixels = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    given = [image, str(image), image.read_bytes(), grey, np.repeat(grey[..., None], 3, axis=2)]
    found = model.predict(given)
    assert len({tuple(np.round([*one.probabilities.values()], 6)) for one in found}) == 1
    first = found[0]
    assert list(first.probabilities) == model.classes == ["covid", "normal"] and first.reason == ""
    assert first.threshold == model.threshold == 0.4 and sum(first.probabilities.values()) == pytest.approx(1)
    assert first.label == ("covid" if first.probabilities["covid"] >= 0.4 else "normal")
    assert model(grey.astype(np.uint16) * 257).probabilities["covid"] == pytest.approx(
        first.probabilities["covid"], abs=0.02
    )


def test_clinical_values_join_the_image(model, image):
    old, unknown = model(image, {"age": 90, "sex": "M"}), model(image, {"age": None})
    assert model.clinical_columns == ["age", "sex"]
    assert old.probabilities != unknown.probabilities == model(image).probabilities
    with rejection("the model takes no weight; it takes age, sex"):
        model(image, {"weight": 80})
    with rejection("clinical values of 1 images are given for 2 images"):
        model.predict([image, image], [{}])


def test_threads_get_what_one_thread_gets(model, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, one in enumerate(paths):
        picture(one, number)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(model, paths))
    for one, other in zip(together, model.predict(paths), strict=True):
        assert one.label == other.label
        assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-5)


def test_what_is_no_radiograph_has_a_reason_and_no_class(path, model, tmp_path):
    picture(tmp_path / "colour.png", 1, mode="RGB")
    found = load_model(path, threshold=0.7).predict([tmp_path / "colour.png", b"no image", tmp_path / "missing.png"])
    assert [one.label for one in found] == [None] * 3 and all(one.probabilities == {} for one in found)
    assert found[0].threshold == 0.7
    for one, words in zip(
        found, ("a colour image, so no class", "image: not a readable image", "missing.png"), strict=True
    ):
        assert words in one.reason
    for wrong in (np.zeros((10, 10)), np.zeros((3, 100, 100), np.uint8), np.zeros((0, 9), np.uint8), None, ["a.png"]):
        with rejection("is no image"):
            model(wrong)
    for alone in ("a.png", tmp_path, b"no image", np.zeros((99, 99, 3), np.uint8)):
        with rejection("takes a list of images; for one, call the model itself"):
            model.predict(alone)


def test_bad_models_and_thresholds_are_rejected(path, tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"x")
    with rejection("bad.h5 is rejected"):
        load_model(tmp_path / "bad.h5")
    with rejection("threshold 2 is not a number between 0 and 1"):
        load_model(path, threshold=2)


def test_importing_the_package_stays_light():
    code = "import sys, detector; assert not {'numpy', 'tensorflow', 'cv2', 'h5py'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with pytest.raises(ImportError):
        from detector import nothing  # noqa: F401


@pytest.mark.parametrize("absolute", [True, False])
def test_a_pattern_is_expanded(tmp_path, monkeypatch, absolute):
    for name in ("b.png", "a.png", "c.jpg", "[1].png"):
        picture(tmp_path / name, 1)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path if absolute else Path()
    assert list_images([folder / "?.png"], []) == [folder / "a.png", folder / "b.png"]
    # A file of this very name is no pattern.
    assert list_images([folder / "[1].png"], []) == [folder / "[1].png"]
    assert list_images([folder / "*.gif"], []) == [folder / "*.gif"]
