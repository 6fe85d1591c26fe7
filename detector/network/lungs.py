"""Lungs in a radiograph, found by a small decoder on four blocks of the frozen VGG16.

Reference for decoders on the maps of a frozen encoder: J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks
for semantic segmentation", CVPR 2015. `lung_decoder.md` says what its weights were fitted to, and under which licence.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.images.read import SIZE
from detector.network.backbone import MAPS

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

FILE = Path(__file__).with_name("lung_decoder.npy")

# SHA-256 of that file; `make lungs` prints the one of a new file.
DIGEST = "c3f282fc496ee5fb73ed48b9b04d7c4bcbd1d77353a890f5a109586f4eb692ea"

CELLS = 56  # rows and columns of block2_pool, on which it works

WIDTH = 40  # channels

DILATIONS = (1, 2, 4, 8)

# What is typical of each map where anything is found (mean of the positive values, on the masks' own images). Softsign
# of a map over it does what a logarithm would, and is a layer that every Keras knows.
TYPICAL = {"block2_pool": 5.0, "block3_pool": 10.0, "block4_pool": 2.5, "block5_pool": 0.5}

# Steep enough that a pixel is black or shown, and nothing between.
STEEP = 1e6

MASK, SHOWN = "lungs_mask", "lungs_only"  # layers of a model that looks at nothing but lungs

Arrays = list[np.ndarray]


def shapes() -> list[tuple[str, tuple[int, ...]]]:
    """Return the name of each convolution of the decoder, in order, with the shape of its kernel."""
    return [
        *((f"lungs_{block.partition('_')[0]}", (1, 1, width, WIDTH)) for block, width in MAPS.items()),
        *((f"lungs_dilated{dilation}", (3, 3, WIDTH, WIDTH)) for dilation in DILATIONS),
        ("lungs_cells", (1, 1, WIDTH, 1)),
    ]


def layer_names() -> list[tuple[str, str]]:
    """Return the kind and the name of every layer by which a model finds lungs."""
    found = []
    for i, (name, _) in enumerate(shapes()[: len(MAPS)]):
        found += [("Rescaling", f"{name}_scaled"), ("Activation", f"{name}_softsign"), ("Conv2D", name)]
        if i:
            found.append(("UpSampling2D", f"{name}_enlarged"))
    found += [("Add", "lungs_sum"), ("ReLU", "lungs_joined")]
    found += [("Conv2D", name) for name, _ in shapes()[len(MAPS) :]]
    return [*found, ("UpSampling2D", "lungs_logits"), ("Rescaling", "lungs_steep"), ("ReLU", MASK)]


def read(path: Path = FILE, digest: str = DIGEST) -> Arrays:
    """Read the decoder's weights.

    Returns
    -------
    list of ndarray
        Kernel and bias of each convolution that `shapes` names, float32.

    Raises
    ------
    InputError
        If the file cannot be read, or is not the one with this SHA-256.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path} was changed: it is not the lung decoder that this program was made with")
    numbers = np.lib.format.read_array(io.BytesIO(data))
    arrays, start = [], 0
    for _, shape in shapes():
        for part in (shape, shape[-1:]):
            arrays.append(numbers[start : start + int(np.prod(part))].reshape(part))
            start += arrays[-1].size
    return arrays


def connect(maps: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """Return the logits of being lung, given the outputs of block2_pool … block5_pool, as tensors of Keras.

    Parameters
    ----------
    maps : sequence of 4 keras.KerasTensor

    Returns
    -------
    keras.KerasTensor of shape (n, 224, 224, 1)
    """
    from keras import layers

    found = []
    for block, (name, _), activations in zip(MAPS, shapes(), maps, strict=False):
        x = layers.Rescaling(1.0 / TYPICAL[block], name=f"{name}_scaled")(activations)
        x = layers.Activation("softsign", name=f"{name}_softsign")(x)
        x = layers.Conv2D(WIDTH, 1, name=name)(x)
        if (times := CELLS // x.shape[1]) > 1:
            x = layers.UpSampling2D(times, interpolation="bilinear", name=f"{name}_enlarged")(x)
        found.append(x)
    x = layers.ReLU(name="lungs_joined")(layers.Add(name="lungs_sum")(found))
    for dilation in DILATIONS:
        name = f"lungs_dilated{dilation}"
        x = layers.Conv2D(WIDTH, 3, padding="same", dilation_rate=dilation, activation="relu", name=name)(x)
    x = layers.Conv2D(1, 1, name="lungs_cells")(x)
    return layers.UpSampling2D(SIZE // CELLS, interpolation="bilinear", name="lungs_logits")(x)


def mask(maps: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """Return the lung mask of an image, given its four maps, as a tensor of Keras, (n, 224, 224, 1), 0 or 1."""
    from keras import layers

    steep = layers.Rescaling(STEEP, name="lungs_steep")(connect(maps))
    return layers.ReLU(max_value=1.0, name=MASK)(steep)


def lungs_only(pixels: keras.KerasTensor, lungs: keras.KerasTensor) -> keras.KerasTensor:
    """Return the pixels of an image with all but its lungs black, as tensors of Keras."""
    from keras import layers

    return layers.Multiply(name=SHOWN)([pixels, lungs])


def decoder(weights: Arrays | None = None) -> keras.Model:
    """Return the decoder as a Keras model of its own, from four maps to logits; its weights are fresh by default."""
    import keras

    inputs = [keras.Input((SIZE >> level, SIZE >> level, width)) for level, width in enumerate(MAPS.values(), start=2)]
    model = keras.Model(inputs, connect(inputs))
    if weights is not None:
        put(model, weights)
    return model


def compiled(weights: Arrays) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    """Return a function from four maps to logits (n, 224, 224, 1), for use in a compiled one.

    What `connect` makes of layers, written out: to build and trace these takes a third of a second.

    Parameters
    ----------
    weights : list of ndarray
        As `read` returns them.

    Returns
    -------
    callable
    """
    import tensorflow as tf

    kernels, biases = weights[::2], weights[1::2]

    def convolved(x: tf.Tensor, index: int, dilation: int = 1) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(x, kernels[index], 1, "SAME", dilations=dilation), biases[index])

    def enlarged(x: tf.Tensor, cells: int) -> tf.Tensor:
        return x if x.shape[1] == cells else tf.image.resize(x, (cells, cells), "bilinear")

    def logits(maps: Sequence[tf.Tensor]) -> tf.Tensor:
        scaled = [x * (1.0 / TYPICAL[block]) for block, x in zip(MAPS, maps, strict=True)]
        parts = [enlarged(convolved(tf.nn.softsign(x), index), CELLS) for index, x in enumerate(scaled)]
        x = tf.nn.relu(parts[0] + parts[1] + parts[2] + parts[3])
        for index, dilation in enumerate(DILATIONS, len(parts)):
            x = tf.nn.relu(convolved(x, index, dilation))
        return enlarged(convolved(x, len(kernels) - 1), SIZE)

    return logits


def put(model: keras.Model, weights: Arrays) -> None:
    """Set the weights of the decoder that is a part of a Keras model."""
    for (name, _), kernel, bias in zip(shapes(), weights[::2], weights[1::2], strict=True):
        model.get_layer(name).set_weights([kernel, bias])


def take(model: keras.Model) -> Arrays:
    """Return the weights of the decoder that is a part of a Keras model."""
    return [array for name, _ in shapes() for array in model.get_layer(name).get_weights()]
