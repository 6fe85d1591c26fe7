"""Read an untrusted model file: nothing in it runs, and only its weights are taken.

A Keras file can carry code (a Lambda layer is a pickled function), HDF5 can point to other files and expand without
bound, and so can a zip archive. Keras is therefore not asked to load the file; its arrays are read by name and shape
into this project's own architecture, and a file that holds anything else is rejected.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detector import InputError
from detector.files import hdf5
from detector.network import architecture, lung_decoder
from detector.network.architecture import dense_layers, numbered_by_kind, require_architecture
from detector.network.description import Description
from detector.network.head import Arrays
from detector.network.keras_head import HIDDEN
from detector.network.model import ATTRIBUTE, IMAGES, join
from detector.network.training_images import LARGEST, TrainingImages
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
    """What a model file holds.

    Attributes
    ----------
    weights : dict of str to (kernel, bias)
        The base's.
    head : list of ndarray
    description : Description
    decoder : list of ndarray or None
        The lung decoder's weights.
    note : str
        What was assumed of a model without a description; mostly empty.
    """

    weights: Weights
    head: Arrays
    description: Description
    decoder: Arrays | None
    note: str = ""

    def joined(self) -> keras.Model:
        """Return it as a Keras model."""
        return join(self.weights, self.head, self.description, self.decoder)


def read(path: Path) -> SavedModel:
    """Read a model that `train_covid19.py` saved, or the tutorial's own script by plain Keras.

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

    hdf5.require_sound_heaps(source.getvalue(), (ATTRIBUTE, "model_config"))
    with h5py.File(source, "r") as file:
        yield file


def _from_hdf5(file: h5py.File) -> SavedModel:
    if ATTRIBUTE not in file.attrs and "model_config" in file.attrs:
        return _from_plain_hdf5(file)
    images = hdf5.raw(file, IMAGES, LARGEST)
    description = _description(_text(hdf5.text(file, ATTRIBUTE), "this project's description"), images)
    require_architecture(_text(hdf5.text(file, "model_config"), "a model"), description)
    root = hdf5.group(file, "model_weights")

    def pair(layer: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        group = hdf5.group(hdf5.group(root, layer), layer)
        return hdf5.array(group, "kernel", shape), hdf5.array(group, "bias", shape[-1:])

    return _collect(pair, description)


def _from_plain_hdf5(file: h5py.File) -> SavedModel:
    plain = architecture.describe_tutorials(_layers(_text(hdf5.text(file, "model_config"), "a model")))
    root = hdf5.group(file, "model_weights")

    def pair(layer: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        name = plain.names[layer]
        group = hdf5.group(hdf5.group(root, name), name)
        # Keras 2 numbers the outputs of what made an array.
        end = ":0" if "kernel:0" in group else ""
        return hdf5.array(group, f"kernel{end}", shape), hdf5.array(group, f"bias{end}", shape[-1:])

    return _collect(pair, plain.description)._replace(note=architecture.NOTE)


def _layers(text: str) -> list[architecture.Layer]:
    """Return the layers of a file's own account of its model.

    Raises
    ------
    InputError
    """
    try:
        return architecture.read_layers(text)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError("it does not say which layers it has; train with train_covid19.py") from None


def _from_zip(source: io.BytesIO) -> SavedModel:
    with zipfile.ZipFile(source) as archive:
        config = _member(archive, "config.json", MAX_TEXT).decode()
        weights = io.BytesIO(_member(archive, "model.weights.h5", MAX_BYTES))
        described = f"{ATTRIBUTE}.json" in archive.namelist()
        text = _member(archive, f"{ATTRIBUTE}.json", MAX_TEXT).decode() if described else ""
        images = _member(archive, IMAGES, LARGEST) if IMAGES in archive.namelist() else b""
    if described:
        description, note = _description(text, images), ""
        layers = require_architecture(config, description)
        names: Mapping[str, str] = {name: name for _, name in layers}
    else:
        plain = _layers(config)
        layers, (description, names), note = (
            [one[:2] for one in plain],
            architecture.describe_tutorials(plain),
            architecture.NOTE,
        )
    with _open_hdf5(weights) as file:
        root = hdf5.group(file, "layers")
        groups = numbered_by_kind(layers)

        def pair(layer: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
            group = hdf5.group(hdf5.group(root, groups[names[layer]]), "vars")
            return hdf5.array(group, "0", shape), hdf5.array(group, "1", shape[-1:])

        return _collect(pair, description)._replace(note=note)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member of an archive that has no more bytes than that.

    Raises
    ------
    InputError
    """
    members = {item.filename: item for item in archive.infolist()}
    if name not in members:
        raise InputError(f"it has no {name}; was it saved by train_covid19.py?")
    if members[name].file_size > most:
        raise InputError(f"{name} in it would be {members[name].file_size >> 20} MiB")
    return archive.read(name)


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


def _text(value: str | None, what: str) -> str:
    if value is None or len(value) > MAX_TEXT:
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
