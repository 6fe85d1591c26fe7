"""The saved model built by Keras itself: what the files in detector/network/architectures are made and held against.

`python tests/keras_helpers.py` writes these files anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "detector/network/architectures"
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[2]))

from detector.network import backbone  # noqa: E402
from detector.network.backbone import COLUMNS, LAST_MAP, MAPS, SIZE, STEEPNESS, UPPER_LEFT  # noqa: E402

STEEP = 1e6  # enough that a pixel is inside or outside, and nothing between


def built(recipe: str, pooling: str, classes: int, clinical: int = 0) -> Any:
    """Return the model of a recipe and pooling, its weights fresh."""
    import keras
    from keras import layers

    pixels = keras.Input((SIZE, SIZE, 3), name="radiograph")
    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=pixels)
    base.trainable = False
    maps = {name: base.get_layer(name).output for name in MAPS}
    read = list(MAPS) if recipe == "probe" else [LAST_MAP]
    if pooling == "lungs":
        mask = layers.ReLU(max_value=1.0, name="lungs_mask")(
            layers.Rescaling(STEEP, name="lungs_steep")(decoded(list(maps.values())))
        )
        flat = layers.Reshape((SIZE * SIZE,), name="lung_pixels")(mask)
        softmax = layers.Softmax(name="lung_weights")(layers.Rescaling(STEEPNESS, name="lung_logits")(flat))
        weights = layers.Reshape((SIZE, SIZE, 1), name="lung_map")(softmax)
        means = [mean_inside(maps[name], weights, name.partition("_")[0]) for name in read]
    elif (recipe, pooling) == ("probe", "global"):
        means = [layers.GlobalAveragePooling2D(name=name.replace("pool", "mean"))(maps[name]) for name in read]
    else:
        cells = UPPER_LEFT if pooling == "tutorial" else maps[LAST_MAP].shape[1]
        means = [layers.Flatten(name="flatten")(layers.AveragePooling2D(cells, name="pool")(maps[LAST_MAP]))]
    x = layers.Concatenate(name="blocks")(means) if len(means) > 1 else means[0]
    inputs = [pixels]
    if clinical:
        inputs.append(keras.Input((clinical,), name="clinical"))
        x = layers.Concatenate(name="joined")([x, inputs[1]])
    if recipe == "tutorial":
        x = layers.Dropout(0.5, seed=0, name="dropout")(layers.Dense(64, activation="relu", name="hidden")(x))
    x = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs if clinical else pixels, x, name="covid19_detector")


def mean_inside(x: Any, weights: Any, name: str) -> Any:
    """Return the mean of a map inside the lungs, in layers that every Keras knows."""
    from keras import layers

    cells, channels = x.shape[1], x.shape[3]
    side = SIZE // cells
    mean = layers.AveragePooling2D(side, name=f"{name}_lung_share")(weights)
    total = layers.Rescaling(float(side * side), name=f"{name}_lung_sum")(mean)
    shares = layers.Reshape((cells * cells,), name=f"{name}_lung_weights")(total)
    flat = layers.Reshape((cells * cells, channels), name=f"{name}_cells")(x)
    return layers.Dot(axes=(1, 1), name=f"{name}_lung_mean")([shares, flat])


def decoded(maps: list[Any]) -> Any:
    """Return the lung decoder's logits, (n, 224, 224, 1)."""
    from keras import layers

    names, found = list(backbone.DECODER_LAYERS), []
    for (block, typical), name, x in zip(backbone.TYPICAL.items(), names, maps, strict=False):
        assert block in MAPS
        scaled = layers.Rescaling(1.0 / typical, name=f"{name}_scaled")(x)
        part = layers.Conv2D(backbone.DECODER_WIDTH, 1, name=name)(
            layers.Activation("softsign", name=f"{name}_softsign")(scaled)
        )
        if (times := backbone.DECODER_CELLS // x.shape[1]) > 1:
            part = layers.UpSampling2D(times, interpolation="bilinear", name=f"{name}_enlarged")(part)
        found.append(part)
    x = layers.ReLU(name="lungs_joined")(layers.Add(name="lungs_sum")(found))
    for rate, name in zip(backbone.DILATIONS, names[len(found) :], strict=False):
        x = layers.Conv2D(backbone.DECODER_WIDTH, 3, padding="same", dilation_rate=rate, activation="relu", name=name)(
            x
        )
    x = layers.Conv2D(1, 1, name=names[-1])(x)
    return layers.UpSampling2D(SIZE // backbone.DECODER_CELLS, interpolation="bilinear", name="lungs_logits")(x)


def put(model: Any, arrays: dict[str, Any]) -> Any:
    """Set kernels and biases by the names of their layers."""
    for name, pair in arrays.items():
        model.get_layer(name).set_weights(list(pair))
    return model


def config(model: Any) -> dict[str, Any]:
    """Return what Keras writes as `model_config` of a model."""
    return json.loads(json.dumps({"class_name": "Functional", "config": json.loads(model.to_json())["config"]}))


def template(recipe: str, pooling: str) -> str:
    """Return the text of an architecture's file: classes and clinical inputs are blanks."""
    width, classes, clinical = len(range(*COLUMNS[recipe, pooling].indices(10**6))), 9973, 9967
    text = json.dumps(config(built(recipe, pooling, classes, clinical)), separators=(",", ":"))
    for number, blank in ((classes, "classes"), (clinical, "clinical"), (width + clinical, "joined")):
        text = text.replace(str(number), f'"${blank}"')
    return text + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one, other in COLUMNS:
        (FOLDER / f"{one}_{other}.json").write_text(template(one, other))
