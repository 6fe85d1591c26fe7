"""A model's file is what Keras writes, whether Keras writes it or it is put together without Keras."""

from __future__ import annotations

import io
import resource
import sqlite3
import tempfile
from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import pytest
from conftest import rejection

from detector.datasets import clinical
from detector.files.cache import FILE, Cache
from detector.network import model_file, runtime
from detector.network import model_file as keras_file
from detector.network.model_file import Description, SavedModel, TrainingImages

AGES = clinical.fit(["age"], [{"age": "30"}, {"age": "50"}, {"age": ""}])
GLOBAL = Description(["a", "b"], "a", "probe", "global")


@pytest.fixture(autouse=True)
def temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def model():
    runtime.ready()
    import keras

    return keras.Sequential([keras.Input((600,)), keras.layers.Dense(600)])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_keras_reads_what_it_wrote_and_nothing_is_printed_or_left(model, suffix, tmp_path, capfd):
    import keras

    data = keras_file.written(model, suffix)
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")
    (tmp_path / f"again{suffix}").write_bytes(data)
    again = keras.models.load_model(tmp_path / f"again{suffix}", compile=False)
    assert np.array_equal(again.layers[0].kernel, model.layers[0].kernel)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_full_disk_is_an_error_of_one_line(model, suffix, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with rejection("cannot hold the model while Keras writes it: file too large; set TMPDIR"):
            keras_file.written(model, suffix)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # Keras itself may leave an empty folder of its own.
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.name.startswith(".covid19")] == []


class AskedError(Exception):
    """Keras was asked to write a file."""


def never():
    raise AskedError


def saved_model(weights, description, seed=0) -> SavedModel:
    """Return a model with a random head."""
    generator = np.random.default_rng(seed)
    widths = [description.feature_width + description.clinical_width, len(description.classes)]
    if description.recipe == "tutorial":
        widths.insert(1, 64)
    shapes = [shape for pair in pairwise(widths) for shape in (pair, pair[1:])]
    head = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    return SavedModel(weights, head, description, None)


@pytest.mark.parametrize(
    "description",
    [
        GLOBAL,
        Description(["a", "b", "c"], "c", "probe", "lungs", 0.25, AGES),
        Description(["a", "b"], "a", "tutorial", "tutorial", input="lungs"),
    ],
)
def test_a_file_without_keras_is_what_keras_writes(weights, tmp_path, description):
    cache = Cache(tmp_path)
    first, second = (saved_model(weights, description, seed) for seed in range(2))
    joined = first.joined()
    written = keras_file.as_file(first, lambda: joined, ".h5", cache)
    assert written == keras_file.as_file(first, never, ".h5", cache)
    for layer, pair in zip(("probabilities", "hidden"), (second.head[-2:], second.head[:-2]), strict=True):
        if pair:
            joined.get_layer(layer).set_weights(pair)
    by_keras = keras_file.as_file(second, lambda: joined, ".h5", Cache(None))
    assert by_keras == keras_file.as_file(second, never, ".h5", cache) != written
    assert model_file.parse(by_keras).description == description
    with pytest.raises(AskedError):
        keras_file.as_file(second, never, ".keras", cache)


@pytest.fixture(scope="module")
def kept(weights, tmp_path_factory):
    """Return a model, its file, and the folder of a cache that holds its skeleton."""
    saved, folder = saved_model(weights, GLOBAL), tmp_path_factory.mktemp("kept")
    return saved, keras_file.as_file(saved, saved.joined, ".h5", Cache(folder)), folder


def test_keras_loads_a_file_that_it_did_not_write(kept, tmp_path):
    import keras

    saved, _, folder = kept
    (tmp_path / "m.h5").write_bytes(keras_file.as_file(saved, never, ".h5", Cache(folder)))
    loaded, joined = keras.models.load_model(tmp_path / "m.h5"), saved.joined()
    assert loaded.get_config() == joined.get_config()
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in joined.weights]
    for found, expected in zip(loaded.get_weights(), joined.get_weights(), strict=True):
        assert np.array_equal(found, expected)
    pixels = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    assert np.array_equal(np.asarray(loaded(pixels)), np.asarray(joined(pixels)))


def test_what_differs_by_run_is_not_of_the_skeleton(kept):
    saved, _, folder = kept
    images = TrainingImages.of([("a" * 64, "b" * 512)])
    other = Description(["covid", "normal"], "normal", "probe", "global", 0.125, training_images=images)
    data = keras_file.as_file(saved._replace(description=other), never, ".h5", Cache(folder))
    assert model_file.parse(data).description == other


@pytest.mark.parametrize("other", [{"classes": ["a", "b", "c"]}, {"clinical": AGES}, {"pooling": "lungs"}])
def test_another_architecture_is_written_by_keras(weights, kept, other):
    saved = saved_model(weights, replace(GLOBAL, **other))
    with pytest.raises(AskedError):
        keras_file.as_file(saved, never, ".h5", Cache(kept[2]))


def test_another_version_of_keras_writes_its_own(kept, monkeypatch):
    saved, _, folder = kept
    monkeypatch.setattr(keras_file, "version", lambda package: "0.1")
    with pytest.raises(AskedError):
        keras_file.as_file(saved, never, ".h5", Cache(folder))


def test_a_damaged_skeleton_is_made_anew(kept, tmp_path):
    saved, data, folder = kept
    (tmp_path / FILE).write_bytes((folder / FILE).read_bytes())
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE entries SET value = replace(value, x'6b6572', x'6b6573')")
    database.close()
    with pytest.raises(AskedError):
        keras_file.as_file(saved, never, ".h5", Cache(tmp_path))
    assert keras_file.as_file(saved, saved.joined, ".h5", Cache(tmp_path)) == data
    assert keras_file.as_file(saved, never, ".h5", Cache(tmp_path)) == data


@pytest.mark.parametrize(("chunks", "added"), [(None, 1), ((2,), 0)])
def test_no_skeleton_where_an_array_differs_or_is_in_pieces(chunks, added):
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.create_dataset("a", data=np.arange(4, dtype="<f4"), chunks=chunks)
    assert keras_file.emptied(data.getvalue(), {"a": np.arange(added, 4 + added, dtype="<f4")}) is None
