"""The whole model: base and head joined."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from detector.images.radiographs import SIZE
from detector.network import lung_decoder, runtime
from detector.network.description import Description
from detector.network.forward import STEEPNESS, UPPER_LEFT
from detector.network.head import Arrays
from detector.network.keras_head import layers
from detector.network.weights import CHANNELS_BY_BLOCK, Weights

if TYPE_CHECKING:
    import keras

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
    lungs = lung_decoder.mask([outputs[name] for name in CHANNELS_BY_BLOCK]) if description.finds_lungs else None
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
    return list(CHANNELS_BY_BLOCK) if recipe == "probe" else ["block5_pool"]


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
        means = [
            keras.layers.GlobalAveragePooling2D(name=name.replace("pool", "mean"))(outputs[name])
            for name in CHANNELS_BY_BLOCK
        ]
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
        found = [("GlobalAveragePooling2D", name.replace("pool", "mean")) for name in CHANNELS_BY_BLOCK]
    else:
        return [("AveragePooling2D", "pool"), ("Flatten", "flatten")]
    return [*found, ("Concatenate", "blocks")] if recipe == "probe" else found
