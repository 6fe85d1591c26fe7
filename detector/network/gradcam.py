"""Where the model looked.

References: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
ICCV 2017; B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from detector.network.weights import CHANNELS_BY_BLOCK

LAST_CONVOLUTION = "block5_conv3"
CELLS = 14  # rows and columns of a heat map: those of the last convolution

Maps = Callable[[np.ndarray, np.ndarray], np.ndarray]


def heat_maps(model: object) -> Maps:
    """Return a function that maps a model's inputs and classes to heat maps.

    Parameters
    ----------
    model : keras.Model
        As `detector.network.model.join` makes it.

    Returns
    -------
    callable
        From the model's inputs and class indices (n,) to (n, 14, 14), each scaled to a maximum of 1, or all 0 where
        nothing speaks for the class.
    """
    return _of_all_depths(model) if reads_all_depths(model) else _of_the_last_convolution(model)


def reads_all_depths(model: object) -> bool:
    """Tell a probe from the tutorial's model."""
    return any(layer.name == "blocks" for layer in model.layers)


def seen_cells(model: object) -> int:
    """Return how many rows and columns of a heat map, from the upper left, the head's pooling sees."""
    return CELLS if reads_all_depths(model) else 2 * int(model.get_layer("pool").pool_size[0])


def _of_the_last_convolution(model: object) -> Maps:
    """Grad-CAM of the tutorial's model.

    Each channel of the last convolution is weighted by the mean gradient of the class's logit, and the weighted sum is
    cut off at 0. The logit, not the probability: where the model is sure, the probability's gradient vanishes.
    """
    import keras
    import tensorflow as tf

    probabilities = model.get_layer("probabilities")
    seen = seen_cells(model)
    convolution = model.get_layer(LAST_CONVOLUTION).output
    # Two models of the same layers: pixels to the last convolution, and from there, as an input, to the head.
    before = keras.Model(model.inputs[0], convolution)
    after = keras.Model([convolution, *model.inputs[1:]], model.get_layer("dropout").output)

    def maps(inputs: np.ndarray | list[np.ndarray], classes: np.ndarray) -> np.ndarray:
        pixels, *others = inputs if isinstance(inputs, list) else [inputs]
        convolved = before(pixels, training=False)
        with tf.GradientTape() as tape:
            tape.watch(convolved)
            hidden = after([convolved, *map(tf.convert_to_tensor, others)], training=False)
            logits = tf.matmul(hidden, probabilities.kernel) + probabilities.bias
            chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
        weights = tf.reduce_mean(tape.gradient(chosen, convolved), axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * convolved, axis=-1)).numpy()
        # The head's pooling may leave cells out; what it cannot see did not speak for anything.
        heat[:, seen:] = heat[:, :, seen:] = 0.0
        return _scaled(heat)

    return maps


def _of_all_depths(model: object) -> Maps:
    """Grad-CAM of the probe, at all four layers that it reads.

    No single layer would do: what the head reads of block2_pool does not pass through block5. The logit is a sum over
    the four maps' cells, and the gradient at a map is the head's own weight, so that Grad-CAM at each is the class's
    activation map, exact. Brought to 14 × 14 and added up, with the bias spread evenly, the cells add up to the logit.
    """
    import keras
    import tensorflow as tf

    before = keras.Model(model.inputs[0], [model.get_layer(name).output for name in CHANNELS_BY_BLOCK])
    kernel, bias = model.get_layer("probabilities").get_weights()
    bounds = np.cumsum([0, *CHANNELS_BY_BLOCK.values()])
    # What separates the classes is a logit's distance from their mean; softmax knows nothing else of it.
    kernel, bias = kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()

    def maps(inputs: np.ndarray | list[np.ndarray], classes: np.ndarray) -> np.ndarray:
        pixels, *others = inputs if isinstance(inputs, list) else [inputs]
        heat = np.zeros((len(pixels), CELLS, CELLS), np.float32)
        for layer, (start, stop) in zip(before(pixels, training=False), pairwise(bounds), strict=True):
            weighted = tf.einsum("nhwc,nc->nhw", layer, kernel[start:stop].T[classes])[..., None]
            # Each cell of a larger map is a part of one of these; each of a smaller map covers several.
            heat += tf.image.resize(weighted, (CELLS, CELLS), "area")[..., 0].numpy()
        beside = others[0] @ kernel[bounds[-1] :] if others else np.zeros((len(pixels), kernel.shape[1]))
        constant = (beside + bias)[np.arange(len(pixels)), classes]
        return _scaled(np.maximum((heat + constant[:, None, None]) / CELLS**2, 0.0))

    return maps


def _scaled(heat: np.ndarray) -> np.ndarray:
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)
