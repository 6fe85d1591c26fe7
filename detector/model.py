"""The whole model: base and head joined, saved, and rebuilt from a file that may come from a stranger."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from detector import runtime
from detector.backbone import POOLED_CELLS
from detector.head import Arrays, layers
from detector.radiographs import SIZE
from detector.weights import Weights

ATTRIBUTE = "covid19_detector"  # of the HDF5 file, and stem of the member of a .keras file
VERSION = 1


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beyond its weights.

    Attributes
    ----------
    classes : list of str
        In the order of the outputs.
    positive : str
    pool : str
    threshold : float or None
        Of the positive class's probability; None takes the likeliest class.
    version : int
    """

    classes: list[str]
    positive: str
    pool: str
    threshold: float | None = None
    version: int = VERSION


def join(weights: Weights, head: Arrays, pool: str) -> object:
    """Join the base and a trained head into one Keras model.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    head : list of ndarray
    pool : {"corner", "global"}

    Returns
    -------
    keras.Model
        From pixels in [0, 1], (n, 224, 224, 3), float32, to probabilities, (n, classes).
    """
    runtime.ready()
    import keras

    pixels = keras.Input((SIZE, SIZE, 3), name="radiograph")
    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=pixels)
    base.trainable = False
    cells = POOLED_CELLS[pool]
    x = keras.layers.AveragePooling2D((cells, cells), name="pool")(base.output)
    x = keras.layers.Flatten(name="flatten")(x)
    for layer in layers(len(head[-1])):
        x = layer(x)
    model = keras.Model(pixels, x, name="covid19_detector")
    for name, pair in weights.items():
        model.get_layer(name).set_weights(list(pair))
    model.get_layer("hidden").set_weights(head[:2])
    model.get_layer("probabilities").set_weights(head[2:])
    return model


def save(model: object, description: Description, path: Path) -> None:
    """Write a model: Keras' own format where the suffix is ``.keras``, HDF5 for any other name.

    Parameters
    ----------
    model : keras.Model
    description : Description
    path : Path
    """
    text = json.dumps(asdict(description))
    if path.suffix == ".keras":
        model.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"{ATTRIBUTE}.json", text)
        return
    import h5py

    # Keras' public `save` takes HDF5 under two suffixes only; the tutorial's covid19.model has neither.
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    with h5py.File(path, "w") as file:
        save_model_to_hdf5(model, file)
        file.attrs[ATTRIBUTE] = text
