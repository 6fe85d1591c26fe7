"""Read a model file that may come from a stranger: nothing in it runs, and only its weights are taken.

A Keras file can carry code (a Lambda layer is a pickled function), HDF5 can point to other files and expand without
bound, and so can a zip archive. Keras is therefore not asked to load the file; its arrays are read by name and shape
into this project's own architecture, and a file that holds anything else is refused.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detector import InputError
from detector.network import hdf5, lung_decoder
from detector.network.description import Description
from detector.network.head import Arrays
from detector.network.keras_head import HIDDEN
from detector.network.model import ATTRIBUTE, IMAGES, join, pooling_layers
from detector.network.training_images import MOST, RECORD, TrainingImages
from detector.network.weights import CHANNELS, LAYERS, Weights

if TYPE_CHECKING:
    import h5py
    import keras

MAX_BYTES = 256 * 2**20
MAX_TEXT = 2**20
HDF5_MARK = b"\x89HDF\r\n\x1a\n"
ZIP_MARK = b"PK\x03\x04"

# From a layer's name and its kernel's shape to its kernel and bias.
Pair = Callable[[str, tuple[int, ...]], tuple[np.ndarray, np.ndarray]]


class SavedModel(NamedTuple):
    """What a model file holds: the base's and the head's weights, its description, and the lung decoder's, if any."""

    weights: Weights
    head: Arrays
    description: Description
    decoder: Arrays | None

    def joined(self) -> keras.Model:
        """Return it as a Keras model."""
        return join(self.weights, self.head, self.description, self.decoder)


def read(path: Path) -> SavedModel:
    """Read a model that `train_covid19.py` saved.

    Parameters
    ----------
    path : Path
        HDF5 under any name, or Keras' own format.

    Returns
    -------
    SavedModel

    Raises
    ------
    InputError
        If the file is missing, damaged, or anything but such a model.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{size >> 20} MiB, more than a model of this project has")
        return parse(path.read_bytes())
    except InputError as error:
        raise InputError(f"model {path} is rejected: {error}") from None
    except OSError as error:
        raise InputError(f"model {path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def parse(data: bytes) -> SavedModel:
    """Read the bytes of a model file.

    Raises
    ------
    InputError
    """
    try:
        if data.startswith(HDF5_MARK):
            with _open_hdf5(io.BytesIO(data)) as file:
                return _from_hdf5(file)
        if data.startswith(ZIP_MARK):
            return _from_zip(io.BytesIO(data))
        raise InputError("neither HDF5 nor Keras' format")
    except InputError:
        raise
    # h5py, zipfile and json raise nearly anything for a file that is damaged on purpose.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"damaged ({reason})") from None


@contextmanager
def _open_hdf5(source: io.BytesIO) -> Iterator[h5py.File]:
    import h5py

    with h5py.File(source, "r") as file:
        yield file


def _from_hdf5(file: h5py.File) -> SavedModel:
    images = hdf5.raw(file, IMAGES, MOST * RECORD)
    description = _description(_text(file.attrs.get(ATTRIBUTE), "this project's description"), images)
    _require_architecture(_text(file.attrs.get("model_config"), "a model"), description)
    root = hdf5.group(file, "model_weights")

    def pair(layer: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        group = hdf5.group(hdf5.group(root, layer), layer)
        return hdf5.array(group, "kernel", shape), hdf5.array(group, "bias", shape[-1:])

    return _collect(pair, description)


def _from_zip(source: io.BytesIO) -> SavedModel:
    with zipfile.ZipFile(source) as archive:
        members = {item.filename: item for item in archive.infolist()}
        for name, most in (("config.json", MAX_TEXT), (f"{ATTRIBUTE}.json", MAX_TEXT), ("model.weights.h5", MAX_BYTES)):
            if name not in members:
                raise InputError(f"it has no {name}; was it saved by train_covid19.py?")
            if members[name].file_size > most:
                raise InputError(f"{name} in it would be {members[name].file_size >> 20} MiB")
        if IMAGES in members and members[IMAGES].file_size > MOST * RECORD:
            raise InputError(f"{IMAGES} in it would be {members[IMAGES].file_size >> 20} MiB")
        images = archive.read(IMAGES) if IMAGES in members else b""
        description = _description(archive.read(f"{ATTRIBUTE}.json").decode(), images)
        layers = _require_architecture(archive.read("config.json").decode(), description)
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with _open_hdf5(weights) as file:
        root = hdf5.group(file, "layers")
        groups = numbered_by_kind(layers)

        def pair(layer: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
            group = hdf5.group(hdf5.group(root, groups[layer]), "vars")
            return hdf5.array(group, "0", shape), hdf5.array(group, "1", shape[-1:])

        return _collect(pair, description)


def numbered_by_kind(layers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return what Keras calls the weights of each layer in its own format: the kind, numbered from the second on."""
    counts: dict[str, int] = {}
    groups = {}
    for kind, name in layers:
        number = counts[kind] = counts.get(kind, -1) + 1
        groups[name] = f"{kind.lower()}_{number}" if number else kind.lower()
    return groups


def _collect(pair: Pair, description: Description) -> SavedModel:
    weights = {layer: pair(layer, (3, 3, CHANNELS[i], CHANNELS[i + 1])) for i, layer in enumerate(LAYERS)}
    sizes = [description.feature_width + description.clinical_width, len(description.classes)]
    names = dense_layers(description)
    if len(names) > 1:
        sizes.insert(1, HIDDEN)
    head = [array for name, shape in zip(names, pairwise(sizes), strict=True) for array in pair(name, shape)]
    decoder = None
    if description.finds_lungs:
        decoder = [array for name, shape in lung_decoder.shapes() for array in pair(name, shape)]
    return SavedModel(weights, head, description, decoder)


def _text(value: object, what: str) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise InputError(f"it does not hold {what}; was it saved by train_covid19.py?")
    return value


def _description(text: str, images: bytes) -> Description:
    try:
        found = replace(Description.from_json(json.loads(text)), training_images=TrainingImages.from_bytes(images))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"its description is not this project's ({error})") from None
    if found.positive not in found.classes:
        raise InputError("its description contradicts itself")
    return found


def _require_architecture(text: str, description: Description) -> list[tuple[str, str]]:
    """Refuse a file whose own account of its layers is not this project's architecture; return kinds and names."""
    layers = [
        (str(layer["class_name"]), str(layer["config"]["name"])) for layer in json.loads(text)["config"]["layers"]
    ]
    expected = architecture(description)
    for found in layers:
        if found not in expected:
            raise InputError(f"it has a {found[0]} layer named {found[1]!r}, which is not part of this project's model")
    if sorted(layers) != sorted(expected):
        raise InputError("its layers are not those of this project's model")
    return layers


def dense_layers(description: Description) -> list[str]:
    """Return the names of the head's layers that have weights."""
    return ["probabilities"] if description.recipe == "probe" else ["hidden", "probabilities"]


def architecture(description: Description) -> list[tuple[str, str]]:
    """Return the kind and the name of every layer of this project's model."""
    base: list[tuple[str, str]] = [("InputLayer", "radiograph")]
    for i, layer in enumerate(LAYERS):
        base.append(("Conv2D", layer))
        if i + 1 == len(LAYERS) or LAYERS[i + 1].endswith("conv1"):
            base.append(("MaxPooling2D", f"{layer.partition('_')[0]}_pool"))
    if description.finds_lungs:
        base += lung_decoder.layer_names()
    if description.input == "lungs":
        base.append(("Multiply", lung_decoder.SHOWN))
    joined = [("InputLayer", "clinical"), ("Concatenate", "joined")] if description.clinical_width else []
    tail = [("Dense", "probabilities")]
    if description.recipe == "tutorial":
        tail = [("Dense", "hidden"), ("Dropout", "dropout"), *tail]
    return [*base, *pooling_layers(description.recipe, description.pooling), *joined, *tail]
