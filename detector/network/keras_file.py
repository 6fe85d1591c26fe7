"""A model's file: as Keras' public `save` writes it, or put together from what Keras wrote before.

All but the numbers in an HDF5 file depends on the architecture alone. This rest, the skeleton, is cached: TensorFlow,
which takes longer to import than everything else of a run with cached features, is then not needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.files.atomic import remove_leftovers, temporary_folder
from detector.files.cache import Cache, key
from detector.network import lung_decoder
from detector.network.architecture import dense_layers
from detector.network.model import ATTRIBUTE, IMAGES
from detector.network.model_file import SavedModel
from detector.network.training_images import TrainingImages

if TYPE_CHECKING:
    import keras


def as_file(saved: SavedModel, joined: Callable[[], keras.Model], suffix: str, cache: Cache) -> bytes:
    """Return the bytes of a model's file.

    Parameters
    ----------
    saved : SavedModel
    joined : callable
        Returns `saved` as a Keras model; called only where Keras has to write it.
    suffix : str
        ``".keras"`` gives Keras' own format, which Keras always writes, any other HDF5.
    cache : Cache
        Keeps skeletons.

    Returns
    -------
    bytes
    """
    images = saved.description.training_images.as_bytes()
    values = asdict(replace(saved.description, training_images=TrainingImages()))
    del values["training_images"]
    text = json.dumps(values)
    if suffix == ".keras":
        data = io.BytesIO(written(joined(), suffix))
        with zipfile.ZipFile(data, "a") as archive:
            archive.writestr(f"{ATTRIBUTE}.json", text)
            if images:
                archive.writestr(IMAGES, images)
    else:
        import h5py

        data = _hdf5(saved, joined, cache)
        with h5py.File(data, "r+") as file:
            file.attrs[ATTRIBUTE] = text
            if images:  # no attribute: these hold 64 KiB
                file.create_dataset(IMAGES, data=np.frombuffer(images, np.uint8))
    return data.getvalue()


def _hdf5(saved: SavedModel, joined: Callable[[], keras.Model], cache: Cache) -> io.BytesIO:
    """Return the HDF5 file that Keras writes, from its skeleton where that is cached."""
    name, arrays = _key(saved), _arrays(saved)
    if (kept := cache.get([name]).get(name)) is not None:
        return filled(kept, arrays)
    by_keras = written(joined(), ".h5")
    if (skeleton := emptied(by_keras, arrays)) is not None:
        cache.put({name: skeleton})
    return io.BytesIO(by_keras)


def _key(saved: SavedModel) -> bytes:
    """Return the key of a skeleton: the architecture, this folder's code, which builds it, and the versions."""
    description = saved.description
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return key(
        kind="model skeleton",
        architecture=(description.recipe, description.pooling, description.input),
        shapes=[array.shape for array in saved.head],
        code=hashlib.sha256(code).hexdigest(),
        versions=[version(package) for package in ("keras", "tensorflow", "h5py")],
    )


def _arrays(saved: SavedModel) -> dict[str, np.ndarray]:
    """Return a model's arrays by their names in Keras' HDF5 file."""
    layers, arrays = [*saved.weights, *dense_layers(saved.description)], [*chain(*saved.weights.values()), *saved.head]
    if saved.description.finds_lungs:
        layers += [layer for layer, _ in lung_decoder.shapes()]
        arrays += saved.decoder or lung_decoder.read()
    names = [f"model_weights/{layer}/{layer}/{part}" for layer in layers for part in ("kernel", "bias")]
    return {name: np.ascontiguousarray(array, "<f4") for name, array in zip(names, arrays, strict=True)}


def emptied(by_keras: bytes, arrays: Mapping[str, np.ndarray]) -> bytes | None:
    """Return the skeleton of an HDF5 file: JSON of the bytes before each array, and of the array's name.

    None where the file does not hold each of `arrays` in one piece: another version of Keras might write otherwise.
    """
    import h5py

    with h5py.File(io.BytesIO(by_keras), "r") as file:
        places = sorted((file[name].id.get_offset() or 0, name) for name in arrays)
    pieces, start = [], 0
    for offset, name in places:
        pieces.append((by_keras[start:offset].decode("latin-1"), name))
        start = offset + arrays[name].nbytes
        if by_keras[offset:start] != arrays[name].tobytes():
            return None
    return json.dumps([*pieces, (by_keras[start:].decode("latin-1"), "")]).encode()


def filled(skeleton: bytes, arrays: Mapping[str, np.ndarray]) -> io.BytesIO:
    """Return the HDF5 file of a skeleton, with arrays of the same names and shapes."""
    data = io.BytesIO()
    for text, name in json.loads(skeleton):
        data.write(text.encode("latin-1"))
        data.write(arrays[name].data if name else b"")
    return data


def written(model: keras.Model, suffix: str) -> bytes:
    """Return the bytes of the file that Keras writes of a model.

    Parameters
    ----------
    model : keras.Model
    suffix : {".keras", ".h5"}
        Keras chooses the format by it: `save` takes the name of a file and no file object.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If the disk of the system's temporary files is full.
    """
    folder = Path(tempfile.gettempdir())
    remove_leftovers(folder)
    with temporary_folder(folder) as temporary:
        file = temporary / f"model{suffix}"
        try:
            with _without_advice():
                model.save(file)
            return file.read_bytes()
        except (OSError, RuntimeError) as error:
            if not (reason := _reason(error)):
                raise
            raise InputError(
                f"{folder} cannot hold the model while Keras writes it: {reason.lower()}; set TMPDIR to another folder"
            ) from None


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep Keras from advising its own format to users who name an HDF5 file, as the tutorial does."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _reason(error: OSError | RuntimeError) -> str:
    """Return the system's message; HDF5 quotes it within one of its own, of either type."""
    quoted = re.search(r"error message = '(.+?)'", str(error))
    return quoted[1] if quoted else getattr(error, "strerror", None) or ""
