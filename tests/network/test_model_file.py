"""The saved model: Keras loads what is written without it, and a file that may come from anyone is read or rejected."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import h5py
import keras_helpers
import numpy as np
import pytest
from conftest import rejection
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import phantom_pixels

from detector import InputError
from detector.datasets import clinical
from detector.files.cache import Cache
from detector.network import model_file
from detector.network.backbone import COLUMNS, read_decoder
from detector.network.features import Backbone
from detector.network.head import TrainedHead
from detector.network.model_file import ClassCount, Description, SavedModel, TrainingSummary

AGES = clinical.fit(["age"], [{"age": "30"}, {"age": "50"}, {"age": ""}])
COUNTS = (ClassCount("covid", 60, 15), ClassCount("normal", 61, 61))
SUMMARY = TrainingSummary(
    "lesson", "2026-11-25T10:00:00+00:00", COUNTS, "Test set: 24 images", "0.9", ("calibration",), True
)
TUTORIAL = Description(["covid", "normal"], "covid", "tutorial", "tutorial")


def saved_model(weights, description, seed=0) -> SavedModel:
    """Return a model with a random head."""
    generator = np.random.default_rng(seed)
    shapes = [part for shape in description.head_sizes.values() for part in (shape, shape[1:])]
    head = [generator.normal(0, 0.1, shape).astype(np.float32) for shape in shapes]
    return SavedModel(weights, head, description, read_decoder() if description.pooling == "lungs" else None)


def arrays(saved: SavedModel) -> list[np.ndarray]:
    """Return a model's arrays beyond the base's."""
    return [*saved.head, *(array for pair in (saved.decoder or {}).values() for array in pair)]


def by_keras(saved: SavedModel):
    """Return the same model as Keras builds it."""
    description = saved.description
    extra = sum(map(clinical.width, description.clinical))
    model = keras_helpers.built(description.recipe, description.pooling, len(description.classes), extra)
    head = dict(zip(description.head_sizes, zip(saved.head[::2], saved.head[1::2], strict=True), strict=True))
    return keras_helpers.put(model, saved.weights | head | (saved.decoder or {}))


@pytest.mark.parametrize(
    "description",
    [
        Description(["a", "b"], "a", "tutorial", "tutorial"),
        Description(["a", "b", "c"], "b", "tutorial", "global", None, AGES),
        Description(["a", "b"], "a", "probe", "global"),
        Description(["a", "b", "c"], "c", "probe", "lungs", 0.25, AGES),
    ],
)
def test_keras_loads_what_is_written_without_it(weights, tmp_path, description):
    """The same architecture, weights and probabilities as Keras has them, and as the features and the head give."""
    import keras

    saved = saved_model(weights, description)
    (tmp_path / "m.h5").write_bytes(model_file.as_file(saved))
    loaded, model = keras.models.load_model(tmp_path / "m.h5"), by_keras(saved)
    assert keras_helpers.config(loaded) == keras_helpers.config(model) == model_file.model_config(description)
    for found, expected in zip(loaded.weights, model.weights, strict=True):
        assert found.path == expected.path and np.array_equal(found, expected)
    pixels = np.stack([phantom_pixels(seed, seed == 0) for seed in range(2)])
    table = [{"age": "40"}, {"age": ""}]
    extra = clinical.encode(description.clinical, table)
    inputs = [pixels.astype(np.float32) / 255, extra] if description.clinical else pixels.astype(np.float32) / 255
    features, _ = Backbone(weights, Cache(None)).forward(pixels)
    said = TrainedHead(saved.head, columns=description.clinical).predict_proba(features[:, description.columns], table)
    assert said == pytest.approx(np.asarray(loaded(inputs)), abs=1e-5)
    again = model_file.read(tmp_path / "m.h5")
    assert again.description == description and again.note == ""
    for found, expected in zip(arrays(again), arrays(saved), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("read", COLUMNS)
def test_the_architectures_in_the_package_are_those_of_keras(read):
    file = model_file.ARCHITECTURES / f"{'_'.join(read)}.json"
    assert file.read_text() == keras_helpers.template(*read), "python tests/keras_helpers.py writes it anew"


def test_what_is_said_of_the_training_is_read_back_and_nothing_needs_tensorflow(weights, tmp_path):
    digests = tuple(f"{i:016x}" for i in range(100_000))
    described = Description(["b", "é"], "é", "probe", "global", 0.125, AGES, digests, SUMMARY)
    data = model_file.as_file(saved_model(weights, described))
    assert model_file.parse(data).description == described
    assert data == model_file.as_file(saved_model(weights, described))


@pytest.fixture(scope="module")
def saved(weights, tmp_path_factory):
    """Return the path of a model as training saves it."""
    path = tmp_path_factory.mktemp("model") / "m.h5"
    path.write_bytes(model_file.as_file(saved_model(weights, TUTORIAL)))
    return path


def hostile(folder: Path, honest: Path) -> dict[str, str]:
    """Write one hostile or broken model of each sort; return name → a word of what is said of it."""
    import keras

    class Bomb:
        def __reduce__(self):
            return (Path(folder / "it-ran").touch, ())

    (folder / "pickle.h5").write_bytes(pickle.dumps(Bomb()))
    (folder / "text.h5").write_text("model")
    (folder / "empty.h5").write_bytes(b"")
    (folder / "half.h5").write_bytes(honest.read_bytes()[:30_000_000])
    inputs = keras.Input((224, 224, 3))
    evil = keras.Model(inputs, keras.layers.Lambda(lambda x: x, name="evil")(inputs))
    evil.save(folder / "lambda.keras")
    evil.save(folder / "lambda.h5")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(folder / "other.h5")

    def changed(name: str, gone: str = "model_weights/hidden/hidden/bias"):
        shutil.copy(honest, folder / name)
        file = h5py.File(folder / name, "r+")
        del file[gone]
        return file

    described = asdict(TUTORIAL) | {"version": model_file.VERSION}
    outside = {"external": [("/etc/hostname", 0, 256)]}
    for name, how in (("raw-file", outside), ("compressed", {"compression": "gzip"})):
        with changed(f"{name}.h5") as file:
            file["model_weights/hidden/hidden"].create_dataset("bias", (64,), np.float32, **how)
    with changed("shape.h5", "model_weights/hidden/hidden/kernel") as file:
        file["model_weights/hidden/hidden/kernel"] = np.zeros((4, 4), np.float32)
    for name, value in (("external", h5py.ExternalLink("/etc/passwd", "x")), ("nan", np.full(64, np.nan, np.float32))):
        with changed(f"{name}.h5") as file:
            file["model_weights/hidden/hidden/bias"] = value
    for name, text in (
        ("version", {"version": 1}),
        ("number", 5),
        ("classes", described | {"classes": ["covid", "covid"]}),
        ("positive", described | {"positive": "c"}),
        ("recipe", described | {"recipe": "../x"}),
        ("threshold", described | {"threshold": 2}),
        ("summary", described | {"summary": {"data_set": 3}}),
        ("clinical", described | {"clinical": [{"name": "age"}]}),
    ):
        with changed(f"{name}.h5", model_file.DESCRIPTION) as file:
            file[model_file.DESCRIPTION] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    with changed("images.h5", model_file.IMAGES) as file:
        file[model_file.IMAGES] = np.zeros(8, np.float32)
    with changed("long.h5", model_file.DESCRIPTION) as file:
        file.create_dataset(model_file.DESCRIPTION, (10**12,), np.uint8)
    return {
        **dict.fromkeys(("pickle.h5", "text.h5", "empty.h5", "half.h5"), "not HDF5, or damaged"),
        **dict.fromkeys(("version.h5", "number.h5", "classes.h5", "positive.h5"), "its description is not"),
        **dict.fromkeys(("recipe.h5", "threshold.h5", "summary.h5", "clinical.h5"), "its description is not"),
        "lambda.keras": "save it as HDF5",
        "lambda.h5": "its layers are not those",
        "other.h5": "no model that train_covid19.py",
        "shape.h5": "shape (4, 4)",
        "external.h5": "of its own",
        "raw-file.h5": "outside of the file",
        "compressed.h5": "compressed",
        "nan.h5": "not finite",
        "images.h5": "float32",
        "long.h5": "not up to",
    }


def test_untrusted_models_are_rejected_and_run_nothing(saved, tmp_path):
    words = hostile(tmp_path, saved)
    before = {path.name for path in tmp_path.iterdir()}
    for name, word in words.items():
        with rejection(name) as caught:
            model_file.read(tmp_path / name)
        assert word in str(caught.value), (name, caught.value)
        assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_mutated_models_are_read_or_rejected(saved, tmp_path_factory, data):
    """The first bytes hold the structure; what is flipped there must end in a model or in a sentence."""
    whole = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 60_000))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"mutated-{sys.platform}.h5"
    path.write_bytes(whole)
    try:
        model_file.read(path)
    except InputError as error:
        assert path.name in str(error)


def test_a_model_file_that_is_too_large_missing_or_locked_is_rejected(tmp_path, monkeypatch, unreadable):
    (tmp_path / "a").write_text("x" * 100)
    with rejection("none is not a file; train one with train_covid19.py"):
        model_file.read(tmp_path / "none")
    with rejection("(?i)a cannot be read: permission denied"):
        model_file.read(tmp_path / "a")
    monkeypatch.setattr(model_file, "MAX_BYTES", 10)
    with rejection("more than a model of this project has"):
        model_file.read(tmp_path / "a")


# Models without a description: their classes are given, never guessed.


def tutorials_model(units=64):
    """Return the model as the tutorial's script builds it, with names that Keras gives."""
    import keras

    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=keras.Input((224, 224, 3)))
    x = keras.layers.AveragePooling2D(pool_size=(4, 4))(base.output)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(units, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(base.inputs[0], keras.layers.Dense(3, activation="softmax")(x))


def test_the_tutorials_own_model_is_read_with_its_classes(weights, tmp_path):
    model, generator = tutorials_model(), np.random.default_rng(0)
    keras_helpers.put(model, weights)
    for layer in model.layers[-3::2]:
        layer.set_weights([generator.normal(0, 0.3, array.shape) for array in layer.get_weights()])
    model.save(tmp_path / "m.h5")
    with rejection("without the names of its 3 classes; give them with --classes, in the order of the model's outputs"):
        model_file.read(tmp_path / "m.h5")
    for wrong in (["covid", "normal"], ["covid", "covid", "normal"]):
        with rejection("it has 3 outputs, and --classes names 2 classes"):
            model_file.read(tmp_path / "m.h5", wrong)
    read = model_file.read(tmp_path / "m.h5", ["bacteria", "covid", "normal"])
    assert (read.description.classes, read.description.positive) == (["bacteria", "covid", "normal"], "bacteria")
    assert "--classes" in read.note and read.description.training_images == ()
    pixels = np.stack([phantom_pixels(seed, seed == 0) for seed in range(2)])
    features, _ = Backbone(read.weights, Cache(None)).forward(pixels)
    expected = np.asarray(model(pixels.astype(np.float32) / 255))
    assert expected.min() > 0.01 and np.abs(expected[0] - expected[1]).max() > 1e-3
    said = TrainedHead(read.head).predict_proba(features[:, read.description.columns])
    assert said == pytest.approx(expected, abs=1e-5)


def test_a_model_of_other_layers_than_the_tutorials_is_rejected(tmp_path):
    tutorials_model(units=128).save(tmp_path / "m.h5")
    with rejection("its layers are not those|has shape"):
        model_file.read(tmp_path / "m.h5", list("abc"))


@pytest.mark.parametrize("read", [("tutorial", "global"), ("probe", "lungs")])
def test_a_model_that_keras_saved_again_has_lost_its_classes(weights, tmp_path, read):
    import keras

    saved = saved_model(weights, Description(["bacteria", "covid"], "covid", *read, 0.3))
    (tmp_path / "m.h5").write_bytes(model_file.as_file(saved))
    keras.models.load_model(tmp_path / "m.h5", compile=False).save(tmp_path / "again.h5")
    with rejection("without the names of its 2 classes; give them with --classes"):
        model_file.read(tmp_path / "again.h5")
    again = model_file.read(tmp_path / "again.h5", ["bacteria", "covid"])
    assert (again.description.recipe, again.description.pooling, again.description.threshold) == (*read, None)
    for found, expected in zip(arrays(again), arrays(saved), strict=True):
        assert np.array_equal(found, expected)
    with rejection("its classes are bacteria, covid; leave out --classes"):
        model_file.read(tmp_path / "m.h5", ["covid", "bacteria"])
