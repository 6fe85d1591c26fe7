"""Model files that may come from anyone: read, or rejected without running anything."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import picture, rejected, rejection, script, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.network import model_file
from detector.network import model_file as architecture


@pytest.fixture(scope="module")
def saved(weights, tmp_path_factory):
    """Return a folder with a model as training saves it, with a head of zeros."""
    from detector.files.cache import Cache
    from detector.network.model_file import Description, as_file

    folder = tmp_path_factory.mktemp("model")
    arrays = [np.zeros(shape, np.float32) for shape in ((512, 64), (64,), (64, 2), (2,))]
    description = Description(["covid", "normal"], "covid", "tutorial", "tutorial")
    model = model_file.SavedModel(weights, arrays, description, None)
    (folder / "m.h5").write_bytes(as_file(model, model.joined, ".h5", Cache(None)))
    return folder


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
        "lambda.keras": "layers are not those of the tutorial",
        "lambda.h5": "layers are not those of the tutorial",
        "other.h5": "layers are not those of the tutorial",
        "lambda-within.h5": "Lambda layer",
        "shape.h5": "shape (4, 4)",
        "external.h5": "not in the file itself",
        "raw-file.h5": "outside of the file",
        "compressed.h5": "compressed",
        "nan.h5": "not finite",
        "classes.h5": "description",
        "bomb.keras": "300 MiB",
    }


def test_untrusted_models_are_rejected_and_run_nothing(saved, tmp_path):
    words = hostile(tmp_path, saved)
    before = tree(tmp_path)
    for name, word in words.items():
        with rejection(name) as caught:
            model_file.read(tmp_path / name)
        assert word in str(caught.value), caught.value
        assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before
    picture(tmp_path / "a.png", 1)
    rejected(script("predict_covid19.py", "-m", "lambda-within.h5", "a.png", cwd=tmp_path), "Lambda layer")


def test_a_saved_model_is_read(saved):
    weights, head, description, decoder, note = model_file.read(saved / "m.h5")
    assert len(weights) == 13
    assert [array.shape for array in head] == [(512, 64), (64,), (64, 2), (2,)]
    assert description.classes == ["covid", "normal"]
    assert (description.input, decoder, note) == ("image", None, "")


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_mutated_models_are_read_or_rejected(saved, tmp_path_factory, data):
    """The first bytes hold the structure; what is flipped there must end in a model or in a sentence."""
    whole = bytearray((saved / "m.h5").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 60_000))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"mutated-{sys.platform}.h5"
    path.write_bytes(whole)
    try:
        model_file.read(path)
    except InputError as error:
        assert path.name in str(error)


def test_a_model_without_permission_is_named(tmp_path, unreadable):
    (tmp_path / "m.h5").write_text("x")
    with rejection("(?i)m.h5.*permission denied"):
        model_file.read(tmp_path / "m.h5")


def test_a_model_file_that_is_too_large_is_rejected(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x" * 100)
    monkeypatch.setattr(model_file, "MAX_BYTES", 10)
    with rejection("more than a model of this project has"):
        model_file.read(tmp_path / "a")


def test_a_model_whose_description_and_layers_disagree_is_rejected():
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
    with rejection("contradicts itself"):
        model_file._description(json.dumps(values), b"")
    description = model_file._description(json.dumps(values | {"positive": "a"}), b"")
    config = [{"class_name": "Dense", "config": {"name": "hidden"}}]
    with rejection("its layers are not those"):
        architecture.require_architecture(json.dumps({"config": {"layers": config}}), description)


def test_files_that_lack_a_part_are_rejected(tmp_path):
    with zipfile.ZipFile(tmp_path / "bare.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    with rejection(r"it has no config\.json; was it saved by train_covid19\.py\?"):
        model_file.read(tmp_path / "bare.keras")
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file.attrs["model_config"] = 5
    with rejection(r"it does not hold a model; was it saved by train_covid19\.py\?"):
        model_file.read(tmp_path / "odd.h5")
