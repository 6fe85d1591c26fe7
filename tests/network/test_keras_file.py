"""Keras writes a model's file by its public interface: the format of the suffix, nothing printed, nothing left."""

from __future__ import annotations

import resource
import tempfile

import numpy as np
import pytest
from conftest import refusal

from detector.network import keras_file, runtime


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
        with refusal("cannot hold the model while Keras writes it: file too large; set TMPDIR"):
            keras_file.written(model, suffix)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # Keras itself may leave an empty folder of its own.
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.name.startswith(".covid19")] == []
