"""Small models to begin fuzzing with, and the readers of models made small to fit them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from unittest import mock

import h5py
import numpy as np

from detector.network import lungs as lung_decoder
from detector.network import model_file
from detector.network import model_file as architecture
from detector.network import model_file as description
from detector.network.model_file import ATTRIBUTE, Description

# A network of the same make, but small: its arrays are numbers that no reader looks into.
LAYERS, CHANNELS, HIDDEN, WIDTH = ("block1_conv1", "block2_conv1"), (3, 2, 4), 3, 4
DECODER = [(name, (*shape[:2], 1, 1)) for name, shape in lung_decoder.shapes()]


@contextmanager
def small_network() -> Iterator[None]:
    """Let models be read as if VGG16, the heads and the lung decoder were small."""
    with (
        mock.patch.object(model_file, "LAYERS", LAYERS),
        mock.patch.object(architecture, "LAYERS", LAYERS),
        mock.patch.object(architecture, "HIDDEN", HIDDEN),
        mock.patch.object(model_file, "CHANNELS", CHANNELS),
        mock.patch.object(model_file, "HIDDEN", HIDDEN),
        mock.patch.object(description, "width_of", lambda recipe, pooling: WIDTH),
        mock.patch.object(lung_decoder, "shapes", lambda: DECODER),
    ):
        yield


def model_seeds() -> list[bytes]:
    """Return small models of each recipe, some of which find lungs, and the tutorial's own, in both formats."""
    classes = ["covid", "normal"]
    own = [
        seed
        for described in (
            Description(classes, "covid", "tutorial", "tutorial", threshold=0.5),
            Description(classes, "covid", "probe", "global"),
            Description(classes, "covid", "probe", "lungs"),
            Description(classes, "covid", "tutorial", "global", input="lungs"),
        )
        for seed in _model_files(described)
    ]
    return own + _plain_model_files()


def _model_files(description: Description) -> list[bytes]:
    """Return a small model as HDF5 and in Keras' own format."""
    text = json.dumps(asdict(description))
    with small_network():
        layers = architecture.architecture(description)
        dense = architecture.dense_layers(description)
    config = {"layers": [{"class_name": kind, "config": {"name": name}} for kind, name in layers]}
    account = json.dumps({"class_name": "Functional", "config": config})
    shapes: dict[str, tuple[int, ...]] = {layer: (3, 3, *CHANNELS[i : i + 2]) for i, layer in enumerate(LAYERS)}
    shapes |= dict(zip(dense, pairwise([WIDTH, *[HIDDEN] * (len(dense) - 1), 2]), strict=True))
    shapes |= dict(DECODER) if description.finds_lungs else {}
    with small_network():
        groups = architecture.numbered_by_kind(layers)
    plain, inner, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with h5py.File(plain, "w") as file:
        file.attrs[ATTRIBUTE], file.attrs["model_config"] = text, account
        for layer, shape in shapes.items():
            file[f"model_weights/{layer}/{layer}/kernel"] = np.ones(shape, np.float32)
            file[f"model_weights/{layer}/{layer}/bias"] = np.ones(shape[-1:], np.float32)
    with h5py.File(inner, "w") as file:
        for layer, shape in shapes.items():
            file[f"layers/{groups[layer]}/vars/0"] = np.ones(shape, np.float32)
            file[f"layers/{groups[layer]}/vars/1"] = np.ones(shape[-1:], np.float32)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("config.json", account)
        archive.writestr(f"{ATTRIBUTE}.json", text)
        archive.writestr("model.weights.h5", inner.getvalue())
    return [plain.getvalue(), zipped.getvalue()]


def _plain_model_files() -> list[bytes]:
    """Return a small model of the tutorial's own script, as Keras 2 and Keras 3 save it."""
    with small_network():
        layers = architecture.tutorials_layers()
        shapes = [(3, 3, *CHANNELS[i : i + 2]) for i in range(len(LAYERS))] + [(WIDTH, HIDDEN), (HIDDEN, 2)]
    configs = [{"name": name, **settings} for _, name, settings in layers]
    configs[0]["batch_shape"], configs[-1]["units"] = [None, 224, 224, 3], 2
    described = [{"class_name": kind, "config": config} for (kind, _, _), config in zip(layers, configs, strict=True)]
    account = json.dumps({"class_name": "Functional", "config": {"layers": described}})
    weighted = [(kind, name) for kind, name, _ in layers if kind in ("Conv2D", "Dense")]
    groups = architecture.numbered_by_kind(weighted)
    plain, inner, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with h5py.File(plain, "w") as file, h5py.File(inner, "w") as weights:
        file.attrs["model_config"] = account
        for (_, name), shape in zip(weighted, shapes, strict=True):
            for i, (part, size) in enumerate((("kernel:0", shape), ("bias:0", shape[-1:]))):
                file[f"model_weights/{name}/{name}/{part}"] = np.ones(size, np.float32)
                weights[f"layers/{groups[name]}/vars/{i}"] = np.ones(size, np.float32)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("config.json", account)
        archive.writestr("model.weights.h5", inner.getvalue())
    return [plain.getvalue(), zipped.getvalue()]
