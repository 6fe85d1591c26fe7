"""The saved model: what its file holds, how it is written, and how one that may come from anywhere is read.

The file is HDF5 as Keras writes it, so that Keras can load it; it is written without Keras, from the account that Keras
gives of each architecture (`architectures/`). It is read without Keras, too: a Keras file can carry code, and HDF5 can
point to other files and expand without bound. Arrays are read by name and shape, and nothing in the file runs.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from detector import InputError
from detector.datasets.clinical import checked, width
from detector.files import hdf5
from detector.network.backbone import COLUMNS, DECODER_LAYERS, LAYERS, Weights, read_decoder
from detector.network.head import HIDDEN, Arrays

if TYPE_CHECKING:
    import h5py

ARCHITECTURES = Path(__file__).with_name("architectures")
VERSION = 3
DESCRIPTION = "covid19_detector"  # data set of the HDF5 file: JSON in UTF-8
IMAGES = f"{DESCRIPTION}.training_images"  # data set of the HDF5 file: `DIGEST_BYTES` of each image's SHA-256
DIGEST_BYTES = 8
MOST_IMAGES = 200_000  # of a larger training set the first are kept
MAX_BYTES = 256 * 2**20  # of a file
MAX_TEXT = 2**20  # of its description, or of Keras' account of its layers
LONGEST = 300  # characters of a text of the summary; longer ones are cut
# What Keras' account says of a layer that decides what it computes.
SETTINGS = (
    *("kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias", "pool_size", "scale", "offset"),
    *("target_shape", "axes", "axis", "size", "interpolation", "max_value", "batch_shape"),
)


class ClassCount(NamedTuple):
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
    balanced : bool or None
        Whether the classes counted equally; None where that is not recorded.
    conclusion : str
        What has to be known before its probabilities are used; empty where that is not recorded.
    """

    data_set: str
    created: str
    classes: tuple[ClassCount, ...]
    evaluation: str
    roc_auc: str
    warned: tuple[str, ...]
    balanced: bool | None = None
    conclusion: str = ""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainingSummary:
        """Return a summary from what a model file holds; TypeError, ValueError or KeyError if it is none."""
        named = ("data_set", "created", "evaluation", "roc_auc", "conclusion")
        texts = {name: _text(values[name])[:LONGEST] for name in named}
        counts = tuple(ClassCount(_text(name), int(n), int(patients)) for name, n, patients in values["classes"])
        warned = tuple(_text(title)[:LONGEST] for title in values["warned"])
        if values["balanced"] not in (True, False, None):
            raise ValueError("balanced")
        return cls(classes=counts, warned=warned, balanced=values["balanced"], **texts)


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beyond its weights.

    Attributes
    ----------
    classes : list of str
        In the order of the outputs.
    recipe, pooling : str
        What of the network's maps the head reads, as `backbone.COLUMNS` names it.
    threshold : float or None
        Of the positive class's probability; None takes the likeliest class.
    clinical : list of dict
        How clinical values are encoded, as `detector.datasets.clinical` does it; empty where there are none.
    training_images : tuple of str
        SHA-256 of each image file that the model was trained on, as `shortened` returns it.
    summary : TrainingSummary or None
        Of the training run.
    """

    classes: list[str]
    positive: str
    recipe: str
    pooling: str
    threshold: float | None = None
    clinical: list[dict] = field(default_factory=list)
    training_images: tuple[str, ...] = ()
    summary: TrainingSummary | None = None

    @property
    def columns(self) -> slice:
        """Which of the network's features the head reads."""
        return COLUMNS[self.recipe, self.pooling]

    @property
    def head_sizes(self) -> dict[str, tuple[int, int]]:
        """Shape of the kernel of each dense layer."""
        inputs = self.columns.stop - self.columns.start + sum(map(width, self.clinical))
        names = ["hidden", "probabilities"] if self.recipe == "tutorial" else ["probabilities"]
        return dict(zip(names, pairwise([inputs, *[HIDDEN] * (len(names) - 1), len(self.classes)]), strict=True))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Description:
        """Return a description from what a model file holds; TypeError, ValueError or KeyError if it is none."""
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']!r}")
        classes, positive = [_text(name) for name in values["classes"]], values["positive"]
        recipe, pooling, threshold = values["recipe"], values["pooling"], values["threshold"]
        faults = {
            "classes": not 2 <= len(classes) <= 1000 or len(set(classes)) != len(classes) or positive not in classes,
            "threshold": threshold is not None and not 0.0 <= float(threshold) <= 1.0,
            "recipe": (recipe, pooling) not in COLUMNS,
        }
        if wrong := next((name for name, fault in faults.items() if fault), None):
            raise ValueError(wrong)
        clinical, summary = [checked(column) for column in values["clinical"]], values["summary"]
        about = None if summary is None else TrainingSummary.from_json(summary)
        return cls(classes, positive, recipe, pooling, threshold, clinical, summary=about)


class SavedModel(NamedTuple):
    """What a model file holds.

    Attributes
    ----------
    weights : dict of str to (kernel, bias)
        The frozen network's.
    head : list of ndarray
        Kernel and bias of each dense layer.
    decoder : dict of str to (kernel, bias), or None
        The lung decoder's; None stands for this project's where a model is saved.
    note : str
        What is not known of a model without a description; mostly empty.
    """

    weights: Weights
    head: Arrays
    description: Description
    decoder: Weights | None = None
    note: str = ""


def shortened(digest: str) -> str:
    """Return as much of a SHA-256, in hexadecimal digits, as a model file keeps."""
    return digest[: 2 * DIGEST_BYTES]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


# Writing


def as_file(saved: SavedModel) -> bytes:
    """Return the bytes of a model's file: HDF5 that Keras can load, with this project's description beside."""
    import h5py

    description = saved.description
    config = model_config(description)
    head = zip(saved.head[::2], saved.head[1::2], strict=True)
    arrays = saved.weights | dict(zip(description.head_sizes, head, strict=True))
    if description.pooling == "lungs":
        arrays |= saved.decoder or read_decoder()
    values = asdict(replace(description, training_images=())) | {"version": VERSION}
    images = bytes.fromhex("".join(description.training_images[:MOST_IMAGES]))
    keras = {"backend": "tensorflow", "keras_version": "3.12.1"}  # whose format the file has
    with h5py.File("model.h5", "w", driver="core", backing_store=False) as file:
        root = file.create_group("model_weights")
        layers = [layer["name"] for layer in config["config"]["layers"]]
        file.attrs.update(keras | {"model_config": json.dumps(config)})
        root.attrs.update(keras | {"layer_names": np.array(layers, "S")})
        for layer in [*layers, "top_level_model_weights"]:
            pair = dict(zip(("kernel", "bias"), arrays.get(layer, ()), strict=False))
            group = root.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/{part}" for part in pair], "S")
            for part, array in pair.items():
                group.create_dataset(f"{layer}/{part}", data=np.ascontiguousarray(array, "<f4"))
        # No attributes: these are texts in a heap, on which HDF5's library can be made to hang.
        for name, data in ((DESCRIPTION, json.dumps(values).encode()), (IMAGES, images)):
            file.create_dataset(name, data=np.frombuffer(data, np.uint8))
        file.flush()
        return file.id.get_file_image()


def model_config(description: Description) -> dict[str, Any]:
    """Return the account that Keras gives of a model: that of its architecture, with the numbers filled in."""
    text = (ARCHITECTURES / f"{description.recipe}_{description.pooling}.json").read_text(encoding="utf-8")
    extra, inputs = sum(map(width, description.clinical)), next(iter(description.head_sizes.values()))[0]
    for blank, number in (("classes", len(description.classes)), ("clinical", extra), ("joined", inputs)):
        text = text.replace(f'"${blank}"', str(number))
    config = json.loads(text)
    if extra:
        return config
    model = config["config"]
    model["input_layers"] = model["input_layers"][0]
    layers = {layer["name"]: layer for layer in model["layers"]}
    features = layers.pop("joined")["inbound_nodes"][0]["args"][0][0]
    layers.pop("clinical")
    layers[next(iter(description.head_sizes))]["inbound_nodes"][0]["args"] = [features]
    model["layers"] = list(layers.values())
    return config


# Reading


def read(path: Path, classes: Sequence[str] = (), threshold: float | None = None) -> SavedModel:
    """Read a model that `train_covid19.py` saved, or one of the same layers that Keras saved.

    Parameters
    ----------
    path : Path
        HDF5, under any name.
    classes : sequence of str, optional
        Of the outputs, in their order: what a model needs that Keras saved, which has no description.
    threshold : float, optional
        In place of the model's.
    """
    if not path.is_file():
        raise InputError(f"model {path} is not a file; train one with train_covid19.py, or give it with -m")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{size >> 20} MiB, more than a model of this project has")
        saved = parse(path.read_bytes(), classes)
    except InputError as error:
        raise InputError(f"model {path} is rejected: {error}") from None
    except OSError as error:
        raise InputError(f"model {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    given = saved.description.threshold if threshold is None else threshold
    return saved._replace(description=replace(saved.description, threshold=given))


def parse(data: bytes, classes: Sequence[str] = ()) -> SavedModel:
    """Read the bytes of a model file, as `read` does."""
    import h5py

    if data.startswith(b"PK"):
        raise InputError("it is Keras' .keras format, which is not read; save it as HDF5: model.save('covid19.h5')")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _described(file, classes) if DESCRIPTION in file else _plain(file, data, classes)
    except InputError:
        raise
    # h5py and json raise nearly anything for a file that is damaged on purpose.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"not HDF5, or damaged ({reason})") from None


def _described(file: h5py.File, classes: Sequence[str]) -> SavedModel:
    try:
        description = Description.from_json(json.loads(hdf5.raw(file, DESCRIPTION, MAX_TEXT)))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"its description is not this project's ({error})") from None
    if classes and list(classes) != description.classes:
        raise InputError(f"its classes are {', '.join(description.classes)}; leave out --classes")
    images = hdf5.raw(file, IMAGES, MOST_IMAGES * DIGEST_BYTES).hex()
    digests = tuple(images[at : at + 2 * DIGEST_BYTES] for at in range(0, len(images), 2 * DIGEST_BYTES))
    return _collected(file, replace(description, training_images=digests), lambda name: name)


def _plain(file: h5py.File, data: bytes, classes: Sequence[str]) -> SavedModel:
    """Read a model that Keras saved: one of this project's that was saved again, or that of the tutorial's script."""
    # Keras' own account of its model, found as text: HDF5's library can be made to hang on it.
    start = data.find(b'{"class_name": "Functional"')
    if start < 0:
        raise InputError("it is no model that train_covid19.py, or Keras 3, has saved as HDF5")
    account = json.JSONDecoder().raw_decode(data[start : start + MAX_TEXT].decode("utf-8", "replace"))[0]
    found = account["config"]["layers"]
    outputs = found[-1]["config"].get("units")
    for recipe, pooling in COLUMNS:
        description = Description(list(classes), classes[0] if classes else "", recipe, pooling)
        wanted = model_config(description)["config"]["layers"]
        if len(found) == len(wanted) and all(map(_same, found, wanted)):
            break
    else:
        raise InputError(
            "it has no description, and its layers are not those of a model of train_covid19.py or of the tutorial "
            "(without clinical values); train with train_covid19.py"
        )
    if not classes:
        raise InputError(
            f"it was saved by Keras, without the names of its {outputs} classes; give them with --classes, in the "
            "order of the model's outputs"
        )
    if outputs != len(classes) or len(set(classes)) != len(classes):
        raise InputError(f"it has {outputs} outputs, and --classes names {len(set(classes))} classes")
    names = {one["name"]: other["config"]["name"] for one, other in zip(wanted, found, strict=True)}
    note = "saved by Keras without a description: its classes are those of --classes, its training images not known"
    return _collected(file, description, names.__getitem__)._replace(note=note)


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    settings = {name: value for name, value in wanted["config"].items() if name in SETTINGS}
    return found["class_name"] == wanted["class_name"] and settings.items() <= found["config"].items()


def _collected(file: h5py.File, description: Description, named: Callable[[str], str]) -> SavedModel:
    """Read the arrays of a model, given the names of its layers in the file by those that they have here."""
    root = hdf5.group(file, "model_weights")

    def arrays(layers: Mapping[str, tuple[int, ...]]) -> Weights:
        found = {}
        for layer, shape in layers.items():
            group = hdf5.group(hdf5.group(root, named(layer)), named(layer))
            found[layer] = hdf5.array(group, "kernel", shape), hdf5.array(group, "bias", shape[-1:])
        return found

    head = [array for pair in arrays(description.head_sizes).values() for array in pair]
    decoder = arrays(DECODER_LAYERS) if description.pooling == "lungs" else None
    return SavedModel(arrays(LAYERS), head, description, decoder)
