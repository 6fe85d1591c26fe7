"""Read an untrusted model file: nothing in it runs, and only its weights are taken.

A Keras file can carry code (a Lambda layer is a pickled function), HDF5 can point to other files and expand without
bound, and so can a zip archive. Keras is therefore not asked to load the file; its arrays are read by name and shape
into this project's own architecture, and a file that holds anything else is rejected.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from detector import InputError
from detector.datasets.clinical import checked, width
from detector.files import hdf5
from detector.files.atomic import temporary_folder
from detector.files.cache import Cache, key
from detector.images.duplicates import BYTES
from detector.images.read import SIZE
from detector.network import lungs as lung_decoder
from detector.network import runtime
from detector.network.backbone import (
    COLUMNS,
    LAYERS,
    MAPS,
    POOLINGS,
    RECIPES,
    STEEPNESS,
    UPPER_LEFT,
    Weights,
)
from detector.network.head import HIDDEN, Arrays, layers

if TYPE_CHECKING:
    import h5py
    import keras

DIGEST_BYTES, HASH_BYTES = 8, BYTES

RECORD = DIGEST_BYTES + HASH_BYTES  # bytes of an image: 26 MB for 100,000

MARK = b"images 2"  # what the bytes begin with

EARLIER = 40  # bytes of an image in files without the mark, whose hashes are of another kind

MOST_IMAGES = 200_000  # images of a file; of a larger training set the first are kept

LARGEST = len(MARK) + MOST_IMAGES * RECORD  # bytes

UNKNOWN = bytes(HASH_BYTES).hex()


@dataclass(frozen=True)
class TrainingImages:
    """The images that a model was trained on.

    Attributes
    ----------
    digests : tuple of str
        The first 16 hexadecimal digits of each file's SHA-256.
    hashes : tuple of str
        As `duplicates.perceptual_hash` returns them; of no use where they are not known.
    """

    digests: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> TrainingImages:
        """Return them from pairs of a file's SHA-256 and its perceptual hash, which may be empty."""
        kept = [(shortened(digest), text or UNKNOWN) for digest, text in pairs][:MOST_IMAGES]
        return cls(tuple(digest for digest, _ in kept), tuple(text for _, text in kept))

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingImages:
        """Return them from what `as_bytes` wrote, now or in an earlier version: then hashes are not known.

        Raises
        ------
        ValueError
            If it is not what `as_bytes` writes.
        """
        marked = data.startswith(MARK)
        size, data = (RECORD, data[len(MARK) :]) if marked else (EARLIER, data)
        if len(data) % size or len(data) > MOST_IMAGES * size:
            raise ValueError("training images")
        records = [data[start : start + size].hex() for start in range(0, len(data), size)]
        return cls.of((one[: 2 * DIGEST_BYTES], one[2 * DIGEST_BYTES :] if marked else "") for one in records)

    def as_bytes(self) -> bytes:
        """Return them as a model file keeps them, `RECORD` bytes each after the mark."""
        return MARK + bytes.fromhex("".join(map("".join, zip(self.digests, self.hashes, strict=True))))

    @property
    def known_hashes(self) -> list[str]:
        """The perceptual hashes that are known."""
        return [text for text in self.hashes if text != UNKNOWN]


def shortened(digest: str) -> str:
    """Return as much of a SHA-256 as is kept."""
    return digest[: 2 * DIGEST_BYTES]


LONGEST = 300  # characters of a text; longer ones are cut

MOST_CHECKS = 50

TEXTS = ("data_set", "created", "evaluation", "roc_auc")


@dataclass(frozen=True)
class ClassCount:
    """How many images and patients of a class the model was trained on."""

    name: str
    images: int
    patients: int


@dataclass(frozen=True)
class TrainingSummary:
    """A training run in a few lines, for the model card.

    Attributes
    ----------
    data_set : str
        Name of its folder.
    created : str
        When the model was trained.
    classes : tuple of ClassCount
        Of the images that the saved model was trained on.
    evaluation : str
        What the metrics are of, such as ``"Test set: 24 images from 24 patients"``.
    roc_auc : str
        With its interval, or why there is none.
    warned : tuple of str
        Titles of the validity checks that warned.
    """

    data_set: str
    created: str
    classes: tuple[ClassCount, ...]
    evaluation: str
    roc_auc: str
    warned: tuple[str, ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainingSummary:
        """Return a summary from what a model file holds, which may come from anywhere.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is not what a training run writes.
        """
        counts = tuple(
            ClassCount(_short(one["name"]), *map(_count, (one["images"], one["patients"])))
            for one in _listed(values["classes"], 1000)
        )
        warned = tuple(map(_short, _listed(values["warned"], MOST_CHECKS)))
        data_set, created, evaluation, roc_auc = (_short(values[name]) for name in TEXTS)
        return cls(data_set, created, counts, evaluation, roc_auc, warned)


def _short(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value[:LONGEST]


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a count")
    return value


def _listed(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("a list")
    return value


VERSION = 2

INPUTS = ("image", "lungs")


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beyond its weights.

    Attributes
    ----------
    classes : list of str
        In the order of the outputs.
    positive : str
    recipe : {"tutorial", "probe"}
    pooling : {"tutorial", "global", "lungs"}
        What of the base's maps the head reads, with `recipe`.
    threshold : float or None
        Of the positive class's probability; None takes the likeliest class.
    clinical : list of dict
        How clinical values are encoded, as `detector.datasets.clinical` does it; empty where there are none.
    version : int
    input : {"image", "lungs"}
        Whether the model masks out all but the lungs that it finds.
    training_images : TrainingImages
        Digests that identify them; kept beside the JSON. Empty in files of earlier versions.
    summary : TrainingSummary or None
        Of the training run; None in files of earlier versions.
    """

    classes: list[str]
    positive: str
    recipe: str
    pooling: str
    threshold: float | None = None
    clinical: list[dict] = field(default_factory=list)
    version: int = VERSION
    input: str = "image"
    training_images: TrainingImages = field(default_factory=TrainingImages)
    summary: TrainingSummary | None = None

    @property
    def finds_lungs(self) -> bool:
        """Whether the lung decoder is a part of the model."""
        return self.pooling == "lungs" or self.input == "lungs"

    @property
    def feature_width(self) -> int:
        """Number of features that the head reads beside clinical values."""
        return width_of(self.recipe, self.pooling)

    @property
    def clinical_width(self) -> int:
        """Number of clinical inputs."""
        return sum(width(column) for column in self.clinical)

    @classmethod
    def from_json(cls, values: dict) -> Description:
        """Return a description from what `save` wrote.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is not what `save` writes.
        """
        if values.get("version") != VERSION:
            raise ValueError(f"version {values.get('version')!r}")
        classes = [as_text(name) for name in values["classes"]]
        if not 2 <= len(classes) <= 1000 or len(set(classes)) != len(classes):
            raise ValueError("classes")
        threshold = values["threshold"]
        if threshold is not None and not 0.0 <= float(threshold) <= 1.0:
            raise ValueError("threshold")
        columns = [checked(column) for column in values["clinical"]]
        for name, known in (("recipe", RECIPES), ("pooling", POOLINGS), ("input", INPUTS)):
            if as_text(values[name]) not in known:
                raise ValueError(name)
        read = (values["recipe"], values["pooling"])
        if (values["input"], values["pooling"]) == ("lungs", "lungs"):
            raise ValueError("both the input and the pooling are the lungs")
        summary = TrainingSummary.from_json(values["summary"]) if values.get("summary") is not None else None
        positive, images = as_text(values["positive"]), TrainingImages()
        return cls(classes, positive, *read, threshold, columns, VERSION, values["input"], images, summary)


def as_text(value: object) -> str:
    """Return `value` if it is a string.

    Raises
    ------
    TypeError
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of as_text")
    return value


def width_of(recipe: str, pooling: str) -> int:
    """Return how many features a head reads beside clinical values."""
    columns = COLUMNS[recipe, pooling]
    return columns.stop - columns.start


ATTRIBUTE = "covid19_detector"  # of the HDF5 file, and stem of the member of a .keras file

IMAGES = f"{ATTRIBUTE}.training_images"  # data set of the HDF5 file, member of a .keras file


def join(weights: Weights, head: Arrays, description: Description, decoder: Arrays | None = None) -> keras.Model:
    """Join the base and a trained head into one Keras model.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    head : list of ndarray
        Kernel and bias of each dense layer.
    description : Description
    decoder : list of ndarray, optional
        Weights of the lung decoder, where the description has it find lungs. With input ``"lungs"`` the base then runs
        twice, first to find lungs, then on what is left.

    Returns
    -------
    keras.Model
        From pixels in [0, 1], (n, 224, 224, 3), float32, to probabilities, (n, classes). A head that is wider than the
        pooled features takes encoded clinical values as a second input.
    """
    runtime.ready()
    import keras

    pixels = keras.Input((SIZE, SIZE, 3), name="radiograph")
    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=pixels)
    base.trainable = False
    outputs = {layer.name: layer.output for layer in base.layers}
    lungs = lung_decoder.mask([outputs[name] for name in MAPS]) if description.finds_lungs else None
    if description.input == "lungs":
        outputs = _again(base, lung_decoder.lungs_only(pixels, lungs))
    x = _pooled(outputs, lungs, description)
    inputs = [pixels]
    if (extra := len(head[0]) - description.feature_width) > 0:
        inputs.append(keras.Input((extra,), name="clinical"))
        x = keras.layers.Concatenate(name="joined")([x, inputs[1]])
    dense = layers(len(head[-1]))
    # The probe is the tutorial's last layer alone.
    for layer in dense[-1:] if description.recipe == "probe" else dense:
        x = layer(x)
    model = keras.Model(inputs if extra else pixels, x, name="covid19_detector")
    for name, pair in weights.items():
        model.get_layer(name).set_weights(list(pair))
    for name, arrays in zip(("probabilities", "hidden"), (head[-2:], head[:-2]), strict=True):
        if arrays:
            model.get_layer(name).set_weights(arrays)
    if lungs is not None:
        lung_decoder.put(model, lung_decoder.read() if decoder is None else decoder)
    return model


def join_masked(weights: Weights, head: Arrays, description: Description) -> keras.Model:
    """Join a model of input ``"lungs"`` for images of which all but the lungs is masked out already.

    Grad-CAM is of what the network sees, and so it is computed on these.
    """
    return join(weights, head, replace(description, input="image"))


def blocks_of(recipe: str) -> list[str]:
    """Return the blocks whose means a recipe reads."""
    return list(MAPS) if recipe == "probe" else ["block5_pool"]


def _again(base: keras.Model, x: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
    """Return the outputs of a base's layers, by name, for another image."""
    outputs = {}
    for layer in base.layers[1:]:
        x = outputs[layer.name] = layer(x)
    return outputs


def _pooled(
    outputs: dict[str, keras.KerasTensor], lungs: keras.KerasTensor | None, description: Description
) -> keras.KerasTensor:
    """Return the features that a head reads, as a tensor of Keras, given the outputs of a base's layers by name."""
    import keras

    if description.pooling == "lungs":
        weights = _pixel_weights(lungs)
        means = [_mean_inside(outputs[name], weights, name) for name in blocks_of(description.recipe)]
    elif (description.recipe, description.pooling) == ("probe", "global"):
        means = [keras.layers.GlobalAveragePooling2D(name=name.replace("pool", "mean"))(outputs[name]) for name in MAPS]
    else:
        last = outputs["block5_pool"]
        cells = UPPER_LEFT if description.pooling == "tutorial" else last.shape[1]
        x = keras.layers.AveragePooling2D((cells, cells), name="pool")(last)
        return keras.layers.Flatten(name="flatten")(x)
    return keras.layers.Concatenate(name="blocks")(means) if len(means) > 1 else means[0]


def _pixel_weights(lungs: keras.KerasTensor) -> keras.KerasTensor:
    """Return each pixel's weight, (n, 224, 224, 1), adding up to 1: equal inside the lungs, or everywhere without any.

    A softmax over the pixels of a mask is a weighted average made of ordinary layers.
    """
    from keras import layers

    logits = layers.Rescaling(STEEPNESS, name="lung_logits")(layers.Reshape((SIZE * SIZE,), name="lung_pixels")(lungs))
    return layers.Reshape((SIZE, SIZE, 1), name="lung_map")(layers.Softmax(name="lung_weights")(logits))


def _mean_inside(x: keras.KerasTensor, weights: keras.KerasTensor, block: str) -> keras.KerasTensor:
    """Return the mean of a map inside the lungs: `detector.network.forward` in layers that every Keras knows."""
    from keras import layers

    cells, channels, name = x.shape[1], x.shape[3], block.partition("_")[0]
    side = SIZE // cells
    mean = layers.AveragePooling2D(side, name=f"{name}_lung_share")(weights)
    total = layers.Rescaling(float(side * side), name=f"{name}_lung_sum")(mean)
    cell_weights = layers.Reshape((cells * cells,), name=f"{name}_lung_weights")(total)
    flat = layers.Reshape((cells * cells, channels), name=f"{name}_cells")(x)
    return layers.Dot(axes=(1, 1), name=f"{name}_lung_mean")([cell_weights, flat])


def pooling_layers(recipe: str, pooling: str) -> list[tuple[str, str]]:
    """Return the kind and the name of every layer between the base and the head."""
    if pooling == "lungs":
        found = [("Reshape", "lung_pixels"), ("Rescaling", "lung_logits")]
        found += [("Softmax", "lung_weights"), ("Reshape", "lung_map")]
        for name in (block.partition("_")[0] for block in blocks_of(recipe)):
            found += [("AveragePooling2D", f"{name}_lung_share"), ("Rescaling", f"{name}_lung_sum")]
            found += [("Reshape", f"{name}_lung_weights"), ("Reshape", f"{name}_cells"), ("Dot", f"{name}_lung_mean")]
    elif (recipe, pooling) == ("probe", "global"):
        found = [("GlobalAveragePooling2D", name.replace("pool", "mean")) for name in MAPS]
    else:
        return [("AveragePooling2D", "pool"), ("Flatten", "flatten")]
    return [*found, ("Concatenate", "blocks")] if recipe == "probe" else found


# What the tutorial's LabelBinarizer makes of its two folders: their names in alphabetical order.
CLASSES = ("covid", "normal")

NOTE = (
    f"saved by Keras without its classes: its outputs are taken for {' and '.join(CLASSES)}, the tutorial's order; "
    "which images it was trained on is not known"
)

CONVOLUTION = {
    "kernel_size": [3, 3],
    "strides": [1, 1],
    "padding": "same",
    "activation": "relu",
    "dilation_rate": [1, 1],
}

MAXIMUM = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}

MEAN = {"pool_size": [4, 4], "strides": [4, 4], "padding": "valid"}

IMAGE = [224, 224, 3]


class Layer(NamedTuple):
    """A layer of a model file, and its settings, as the file's own account has them."""

    kind: str
    name: str
    settings: Mapping[str, object]


class PlainModel(NamedTuple):
    """A plain model's description, the names that its layers have in the file by those that they have here."""

    description: Description
    names: Mapping[str, str]


def read_layers(text: str) -> list[Layer]:
    """Return the layers of a model's own account of itself.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it is no such account.
    """
    layers = json.loads(text)["config"]["layers"]
    return [Layer(str(one["class_name"]), str(one["config"]["name"]), dict(one["config"])) for one in layers]


def describe_tutorials(layers: Sequence[Layer]) -> PlainModel:
    """Return the description of the tutorial's model.

    Parameters
    ----------
    layers : sequence of Layer
        In their order in the file.

    Returns
    -------
    PlainModel

    Raises
    ------
    InputError
        If the layers are not the tutorial's, or there are other than two classes.
    """
    wanted = tutorials_layers()
    if [one.kind for one in layers] != [kind for kind, _, _ in wanted]:
        raise InputError(
            "it was saved by Keras, but its layers are not those of the tutorial's script; train with train_covid19.py"
        )
    names = {}
    for found, (_, name, settings) in zip(layers, wanted, strict=True):
        for setting, value in settings.items():
            if setting in found.settings and _plain(found.settings[setting]) != value:
                raise InputError(
                    f"it was saved by Keras, but its layer {found.name!r} has {setting} {found.settings[setting]!r}, "
                    f"not the tutorial's {value!r}; train with train_covid19.py"
                )
        names[name] = found.name
    shape = layers[0].settings.get("batch_shape", layers[0].settings.get("batch_input_shape"))
    if not isinstance(shape, list) or shape[1:] != IMAGE:
        raise InputError(f"it was saved by Keras for images of shape {shape}, not 224 x 224 in RGB")
    classes = layers[-1].settings.get("units")
    if classes != len(CLASSES):
        raise InputError(
            f"it was saved by Keras without the names of its {classes} classes; train with train_covid19.py"
        )
    return PlainModel(Description(list(CLASSES), CLASSES[0], "tutorial", "tutorial"), names)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def tutorials_layers() -> list[tuple[str, str, Mapping[str, object]]]:
    """Return kind, name in this project's architecture, and settings of each layer."""
    base: list[tuple[str, str, Mapping[str, object]]] = [("InputLayer", "radiograph", {})]
    names = list(LAYERS)
    for i, name in enumerate(names):
        base.append(("Conv2D", name, CONVOLUTION | {"name": name}))
        if i + 1 == len(names) or names[i + 1].endswith("conv1"):
            base.append(("MaxPooling2D", f"{name.partition('_')[0]}_pool", MAXIMUM))
    head: list[tuple[str, str, Mapping[str, object]]] = [
        ("AveragePooling2D", "pool", MEAN),
        ("Flatten", "flatten", {}),
        ("Dense", "hidden", {"units": HIDDEN, "activation": "relu"}),
        ("Dropout", "dropout", {}),
        ("Dense", "probabilities", {"activation": "softmax"}),
    ]
    return [*base, *head]


def numbered_by_kind(layers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return what Keras calls the weights of each layer in its own format: the kind, numbered from the second on."""
    counts: dict[str, int] = {}
    groups = {}
    for kind, name in layers:
        number = counts[kind] = counts.get(kind, -1) + 1
        groups[name] = f"{kind.lower()}_{number}" if number else kind.lower()
    return groups


def require_architecture(text: str, description: Description) -> list[tuple[str, str]]:
    """Reject a file whose own account of its layers is not this project's architecture; return kinds and names."""
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
    names = list(LAYERS)
    for i, layer in enumerate(names):
        base.append(("Conv2D", layer))
        if i + 1 == len(names) or names[i + 1].endswith("conv1"):
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
    plain = describe_tutorials(_layers(_text(hdf5.text(file, "model_config"), "a model")))
    root = hdf5.group(file, "model_weights")

    def pair(layer: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        name = plain.names[layer]
        group = hdf5.group(hdf5.group(root, name), name)
        # Keras 2 numbers the outputs of what made an array.
        end = ":0" if "kernel:0" in group else ""
        return hdf5.array(group, f"kernel{end}", shape), hdf5.array(group, f"bias{end}", shape[-1:])

    return _collect(pair, plain.description)._replace(note=NOTE)


def _layers(text: str) -> list[Layer]:
    """Return the layers of a file's own account of its model.

    Raises
    ------
    InputError
    """
    try:
        return read_layers(text)
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
            describe_tutorials(plain),
            NOTE,
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
    weights = {layer: pair(layer, (3, 3, *LAYERS[layer])) for layer in LAYERS}
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
