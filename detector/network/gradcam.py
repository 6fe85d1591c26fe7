"""Grad-CAM: which parts of an image a prediction depends on.

References: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
ICCV 2017; B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from detector.network.backbone import MAPS

if TYPE_CHECKING:
    import keras

LAST_CONVOLUTION = "block5_conv3"
CELLS = 14  # rows and columns of a heat map: those of the last convolution

Inputs = np.ndarray | list[np.ndarray]  # of a model: pixels, or pixels and encoded clinical values
Kept = np.ndarray | None  # the last convolution of the inputs, (n, 14, 14, 512), where it is known
Maps = Callable[[Inputs, np.ndarray, Kept], np.ndarray]


def heat_maps(model: keras.Model) -> Maps:
    """Return a function that maps a model's inputs and classes to heat maps.

    Parameters
    ----------
    model : keras.Model
        As `detector.network.model.join` makes it.

    Returns
    -------
    callable
        From the model's inputs, class indices (n,) and the last convolution's maps of these inputs, which save a pass,
        or None, to (n, 14, 14), each scaled to a maximum of 1, or all 0 where nothing speaks for the class.
    """
    return _of_the_tutorial(model) if _has(model, "hidden") else _of_the_probe(model)


def seen_cells(model: keras.Model) -> int:
    """Return how many rows and columns of a heat map, from the upper left, the head's pooling sees."""
    return 2 * int(model.get_layer("pool").pool_size[0]) if _has(model, "pool") else CELLS


def _has(model: keras.Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)


def _of_the_tutorial(model: keras.Model) -> Maps:
    """Grad-CAM of the tutorial's model.

    Each channel of the last convolution is weighted by the mean gradient of the class's logit, and the weighted sum is
    cut off at 0. The logit, not the probability: where the model is confident, the probability's gradient vanishes.
    """
    import keras
    import tensorflow as tf

    probabilities = model.get_layer("probabilities")
    seen = seen_cells(model)
    convolution = model.get_layer(LAST_CONVOLUTION).output
    # Two models of the same layers: pixels to the last convolution, and from there, as an input, to the head. Where it
    # pools inside the lungs, their weights are an input too.
    lungs = [model.get_layer("block5_lung_weights").output] if _has(model, "block5_lung_weights") else []
    before = keras.Model(model.inputs[0], [convolution, *lungs])
    after = keras.Model([convolution, *lungs, *model.inputs[1:]], model.get_layer("dropout").output)

    def maps(inputs: Inputs, classes: np.ndarray, kept: Kept = None) -> np.ndarray:
        pixels, *others = inputs if isinstance(inputs, list) else [inputs]
        if kept is None or lungs:
            convolved, *weighted = _as_list(before(pixels, training=False))
        else:
            convolved, weighted = tf.convert_to_tensor(kept), []
        with tf.GradientTape() as tape:
            tape.watch(convolved)
            hidden = after([convolved, *weighted, *map(tf.convert_to_tensor, others)], training=False)
            logits = tf.matmul(hidden, probabilities.kernel) + probabilities.bias
            chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
        weights = tf.reduce_mean(tape.gradient(chosen, convolved), axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * convolved, axis=-1)).numpy()
        # The head's pooling may leave cells out; what it cannot see did not speak for anything.
        heat[:, seen:] = heat[:, :, seen:] = 0.0
        return _scaled(heat)

    return maps


def _of_the_probe(model: keras.Model) -> Maps:
    """Grad-CAM of the probe, at every map that it reads.

    The logit is a sum over the maps' cells, and the gradient at a map is the head's own weight (times the cell's weight
    where it pools inside the lungs), so that Grad-CAM at each map is the class's activation map, exact. Brought to
    14 × 14 and added up, the cells add up to the logit; the bias is spread over them as block 4's cells are weighted.
    """
    import keras
    import tensorflow as tf

    blocks = ["block5_pool"] if _has(model, "pool") else list(MAPS)
    inside = [f"{block.partition('_')[0]}_lung_weights" for block in blocks] if _has(model, "blocks") else []
    inside = [name for name in inside if _has(model, name)]
    before = keras.Model(model.inputs[0], [model.get_layer(name).output for name in (*blocks, *inside)])
    kernel, bias = model.get_layer("probabilities").get_weights()
    bounds = np.cumsum([0, *(MAPS[block] for block in blocks)])
    seen = seen_cells(model)
    # What separates the classes is a logit's distance from their mean; softmax knows nothing else of it.
    kernel, bias = kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()

    def maps(inputs: Inputs, classes: np.ndarray, kept: Kept = None) -> np.ndarray:
        # What is kept is no map that a probe reads.
        del kept
        pixels, *others = inputs if isinstance(inputs, list) else [inputs]
        outputs = _as_list(before(pixels, training=False))
        heat = np.zeros((len(pixels), CELLS, CELLS), np.float32)
        spread = _uniform(len(pixels), seen)
        for i, (start, stop) in enumerate(pairwise(bounds)):
            values = tf.einsum("nhwc,nc->nhw", outputs[i], kernel[start:stop].T[classes])[..., None]
            cells = values.shape[1]
            if inside:
                weights = tf.reshape(outputs[len(blocks) + i], (-1, cells, cells, 1)) * float(cells**2)
                values *= weights
                spread = weights.numpy()[..., 0] if cells == CELLS else spread
            elif seen < CELLS:
                values *= _uniform(1, seen)[:, :: CELLS // cells, :: CELLS // cells, None]
            # Each cell of a larger map is a part of one of these; each of a smaller map covers several.
            heat += tf.image.resize(values, (CELLS, CELLS), "area")[..., 0].numpy()
        beside = others[0] @ kernel[bounds[-1] :] if others else np.zeros((len(pixels), kernel.shape[1]))
        constant = (beside + bias)[np.arange(len(pixels)), classes]
        return _scaled(np.maximum((heat + constant[:, None, None] * spread) / CELLS**2, 0.0))

    return maps


def _as_list(found: keras.KerasTensor | list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    """Return a model's outputs as a list: Keras gives a single one by itself."""
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _uniform(count: int, seen: int) -> np.ndarray:
    """Return weights (count, 14, 14) of mean 1, equal over the cells seen from the upper left and 0 elsewhere."""
    weights = np.zeros((count, CELLS, CELLS), np.float32)
    weights[:, :seen, :seen] = (CELLS / seen) ** 2
    return weights


def _scaled(heat: np.ndarray) -> np.ndarray:
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)
