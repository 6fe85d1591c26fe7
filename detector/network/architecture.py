"""Which layers a model file has: those of this project's model, or of the one that the tutorial's own script saves.

The latter is plain Keras, its layers in a row, with no description beside them. Keras 2 (TensorFlow 2.0 to 2.15) and
Keras 3 name the layers of its head by kind and number, such as ``dense_1``, so they are known by order and settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from detector import InputError
from detector.network import lung_decoder
from detector.network.description import Description
from detector.network.keras_head import HIDDEN
from detector.network.model import pooling_layers
from detector.network.weights import LAYERS

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
    for i, name in enumerate(LAYERS):
        base.append(("Conv2D", name, CONVOLUTION | {"name": name}))
        if i + 1 == len(LAYERS) or LAYERS[i + 1].endswith("conv1"):
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
