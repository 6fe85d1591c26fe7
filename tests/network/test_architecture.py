"""Models that the tutorial's own script saved are read, with the same probabilities, and say what was assumed."""

from __future__ import annotations

import json

import cv2
import h5py
import numpy as np
import pytest
from conftest import inside, rejection

from detector.images.phantom import draw
from detector.network import model_file
from detector.network import model_file as architecture
from detector.network.backbone import LAYERS

PROBABILITIES = 1e-5


def tutorials_model(pooling=(4, 4), units=64, classes=2):
    """Return the model as the tutorial's script builds it, with names that Keras gives."""
    import keras

    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=keras.Input((224, 224, 3)))
    x = keras.layers.AveragePooling2D(pool_size=pooling)(base.output)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(units, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(base.inputs[0], keras.layers.Dense(classes, activation="softmax")(x))


@pytest.fixture(scope="module")
def saved(weights, tmp_path_factory):
    """Return the tutorial's model with ImageNet's base and a random head, and a folder of it in three formats."""
    folder = tmp_path_factory.mktemp("plain")
    model = tutorials_model()
    generator = np.random.default_rng(0)
    for name, pair in weights.items():
        model.get_layer(name).set_weights(list(pair))
    for layer in model.layers[-3::2]:
        layer.set_weights([generator.normal(0, 0.3, array.shape) for array in layer.get_weights()])
    model.save(folder / "keras3.h5")
    model.save(folder / "keras3.keras")
    as_keras_2(folder / "keras3.h5", folder / "keras2.model")
    return model, folder


def as_keras_2(given, path):
    """Write a file as TensorFlow 2.0 does: its layers' names, a fixed batch's shape under its old name, `:0`."""
    names = {}
    with h5py.File(given) as old, h5py.File(path, "w") as new:
        config = json.loads(old.attrs["model_config"])["config"]
        for layer in config["layers"]:
            kind, settings = layer["class_name"], layer["config"]
            before = settings["name"]
            if kind == "InputLayer":
                settings["name"], settings["batch_input_shape"] = "input_1", settings.pop("batch_shape")
            elif not before.startswith(("block", "flatten")):
                settings["name"] = before.partition("_")[0] + ("_1" if settings.get("activation") == "softmax" else "")
            names[before] = settings["name"]
        new.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config}).encode()
        new.attrs["keras_version"] = b"2.2.4-tf"
        for before, name in names.items():
            group = new.create_group(f"model_weights/{name}")
            for part in ("kernel", "bias"):
                if f"{before}/{before}/{part}" in old["model_weights"]:
                    group[f"{name}/{part}:0"] = old[f"model_weights/{before}/{before}/{part}"][()]


@pytest.mark.parametrize("name", ["keras2.model", "keras3.h5", "keras3.keras"])
def test_probabilities_are_those_of_keras(saved, name):
    model, folder = saved
    pixels = np.stack([cv2.resize(draw(seed == 0, seed), (224, 224)) for seed in range(2)])
    pixels = np.repeat(pixels[..., None], 3, axis=3).astype(np.float32) / 255
    read = model_file.read(folder / name)
    expected = model(pixels, training=False).numpy()
    assert expected.min() > 0.01 and np.abs(expected[0] - expected[1]).max() > 1e-3
    assert np.abs(read.joined()(pixels, training=False).numpy() - expected).max() < PROBABILITIES
    assert (read.description.classes, read.description.positive) == (["covid", "normal"], "covid")
    assert "covid and normal" in read.note and not read.description.training_images.digests


def test_a_prediction_says_which_classes_were_assumed(saved, tmp_path):
    model, folder = saved
    cv2.imwrite(str(tmp_path / "a.png"), draw(True, 0))
    done = inside("predict_covid19.py", "-m", folder / "keras2.model", "a.png", "-o", "o", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        done.stderr.count("\n") == 1 and "outputs are taken for covid and normal, the tutorial's order" in done.stderr
    )
    written = json.loads((tmp_path / "o" / "predictions.json").read_text())
    assert written["model_note"] == architecture.NOTE
    assert architecture.NOTE.partition(":")[0] in (tmp_path / "o" / "predictions.html").read_text()
    pixels = cv2.resize(draw(True, 0), (224, 224), interpolation=cv2.INTER_AREA)
    pixels = np.repeat(pixels[None, ..., None], 3, axis=3).astype(np.float32) / 255
    said = list(written["predictions"][0]["probabilities"].values())
    assert said == pytest.approx(model(pixels, training=False).numpy()[0].tolist(), abs=PROBABILITIES)


def account(**changes):
    """Return the layers of the tutorial's model as a file describes them, some settings changed."""
    layers = []
    for kind, name, settings in architecture.tutorials_layers():
        shape = {"batch_shape": [None, 224, 224, 3]} if kind == "InputLayer" else {}
        units = {"units": 2} if name == "probabilities" else {}
        layers.append(
            architecture.Layer(kind, name, {"name": name, **settings, **shape, **units, **changes.get(name, {})})
        )
    return layers


def test_what_is_not_the_tutorials_is_rejected():
    assert architecture.describe_tutorials(account()).names["block1_conv1"] == "block1_conv1"
    with rejection("its layers are not those of the tutorial's script"):
        architecture.describe_tutorials(account()[:-1])
    with rejection("its layer 'pool' has pool_size .7, 7., not the tutorial's .4, 4."):
        architecture.describe_tutorials(account(pool={"pool_size": (7, 7)}))
    with rejection("its layer 'hidden' has units 128"):
        architecture.describe_tutorials(account(hidden={"units": 128}))
    with rejection(f"its layer '{LAYERS[3]}' has activation 'tanh'"):
        architecture.describe_tutorials(account(**{LAYERS[3]: {"activation": "tanh"}}))
    with rejection("images of shape .None, 128, 128, 3., not 224 x 224"):
        architecture.describe_tutorials(account(radiograph={"batch_shape": [None, 128, 128, 3]}))
    with rejection("without the names of its 3 classes"):
        architecture.describe_tutorials(account(probabilities={"units": 3}))
    with rejection("does not say which layers it has"):
        model_file._layers("[]")
