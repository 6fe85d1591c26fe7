"""The whole model: base and head joined, saved, and rebuilt from a file that may come from a stranger."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field

from detector.datasets.clinical import checked, width
from detector.images.radiographs import SIZE
from detector.network import lung_decoder, runtime
from detector.network.backbone import POOLINGS
from detector.network.forward import CORNER
from detector.network.head import Arrays
from detector.network.keras_head import layers
from detector.network.weights import CHANNELS_BY_BLOCK, Weights

ATTRIBUTE = "covid19_detector"  # of the HDF5 file, and stem of the member of a .keras file
VERSION = 1
LUNGS = ("all", "only")


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beyond its weights.

    Attributes
    ----------
    classes : list of str
        In the order of the outputs.
    positive : str
    pool : {"tutorial", "global", "blocks"}
        Which of the base's features the head reads.
    threshold : float or None
        Of the positive class's probability; None takes the likeliest class.
    clinical : list of dict
        How clinical values are encoded, as `detector.datasets.clinical` does it; empty where there are none.
    version : int
    lungs : {"all", "only"}
        Whether the model blacks out all but the lungs that it finds.
    """

    classes: list[str]
    positive: str
    pool: str
    threshold: float | None = None
    clinical: list[dict] = field(default_factory=list)
    version: int = VERSION
    lungs: str = "all"

    @property
    def recipe(self) -> str:
        """The recipe that it was trained with, ``"tutorial"`` or ``"probe"``: only the latter reads all depths."""
        return "probe" if self.pool == "blocks" else "tutorial"

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
        classes = [text(name) for name in values["classes"]]
        if not 2 <= len(classes) <= 1000 or len(set(classes)) != len(classes):
            raise ValueError("classes")
        threshold = values["threshold"]
        if threshold is not None and not 0.0 <= float(threshold) <= 1.0:
            raise ValueError("threshold")
        columns = [checked(column) for column in values["clinical"]]
        if (lungs := values.get("lungs", "all")) not in LUNGS:
            raise ValueError("lungs")
        return cls(classes, text(values["positive"]), text(values["pool"]), threshold, columns, VERSION, lungs)


def text(value: object) -> str:
    """Return `value` if it is a string.

    Raises
    ------
    TypeError
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def join(weights: Weights, head: Arrays, pool: str, decoder: Arrays | None = None) -> object:
    """Join the base and a trained head into one Keras model.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    head : list of ndarray
        Kernel and bias of each dense layer.
    pool : {"tutorial", "global", "blocks"}
    decoder : list of ndarray, optional
        Weights of the lung decoder, for a model that blacks out everything else: the base then runs twice, first to
        find lungs, then on what is left.

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
    if decoder is not None:
        outputs = _again(base, lung_decoder.lungs_only(pixels, [outputs[name] for name in CHANNELS_BY_BLOCK]))
    x = _pooled(outputs, pool)
    inputs = [pixels]
    if (extra := len(head[0]) - width_of(pool)) > 0:
        inputs.append(keras.Input((extra,), name="clinical"))
        x = keras.layers.Concatenate(name="joined")([x, inputs[1]])
    dense = layers(len(head[-1]))
    # The probe is the tutorial's last layer alone.
    for layer in dense[-1:] if pool == "blocks" else dense:
        x = layer(x)
    model = keras.Model(inputs if extra else pixels, x, name="covid19_detector")
    for name, pair in weights.items():
        model.get_layer(name).set_weights(list(pair))
    for name, pair in zip(("probabilities", "hidden"), (head[-2:], head[:-2]), strict=True):
        if pair:
            model.get_layer(name).set_weights(pair)
    if decoder is not None:
        lung_decoder.put(model, decoder)
    return model


def width_of(pool: str) -> int:
    """Return how many features a head reads beside clinical values."""
    return POOLINGS[pool].stop - POOLINGS[pool].start


def _again(base: object, x: object) -> dict[str, object]:
    """Return the outputs of a base's layers, by name, for another image."""
    outputs = {}
    for layer in base.layers[1:]:
        x = outputs[layer.name] = layer(x)
    return outputs


def _pooled(outputs: dict[str, object], pool: str) -> object:
    """Return the features that a head reads, as a tensor of Keras, given the outputs of a base's layers by name."""
    import keras

    if pool == "blocks":
        means = [
            keras.layers.GlobalAveragePooling2D(name=name.replace("pool", "mean"))(outputs[name])
            for name in CHANNELS_BY_BLOCK
        ]
        return keras.layers.Concatenate(name="blocks")(means)
    last = outputs["block5_pool"]
    cells = CORNER if pool == "tutorial" else last.shape[1]
    x = keras.layers.AveragePooling2D((cells, cells), name="pool")(last)
    return keras.layers.Flatten(name="flatten")(x)


def as_file(model: object, description: Description, suffix: str) -> bytes:
    """Return the bytes of a model's file.

    Keras' public `save` writes to names only, and HDF5 under two suffixes only; the tutorial's covid19.model has
    neither. What it calls is therefore called here.

    Parameters
    ----------
    model : keras.Model
    description : Description
    suffix : str
        ``".keras"`` gives Keras' own format, any other HDF5.

    Returns
    -------
    bytes
    """
    text = json.dumps(asdict(description))
    data = io.BytesIO()
    if suffix == ".keras":
        from keras.src.saving.saving_lib import save_model

        save_model(model, data)
        with zipfile.ZipFile(data, "a") as archive:
            archive.writestr(f"{ATTRIBUTE}.json", text)
    else:
        import h5py
        from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

        with h5py.File(data, "w") as file:
            save_model_to_hdf5(model, file)
            file.attrs[ATTRIBUTE] = text
    return data.getvalue()
