"""Where the model looked.

Reference: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LAST_CONVOLUTION = "block5_conv3"


def heat_maps(model: object) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that maps pixels and classes to Grad-CAM heat maps.

    Each channel of the last convolution is weighted by the mean gradient of the class's logit, and the weighted sum is
    cut off at 0. The logit, not the probability: where the model is sure, the probability's gradient vanishes.

    Parameters
    ----------
    model : keras.Model
        As `detector.model.join` makes it.

    Returns
    -------
    callable
        From (n, 224, 224, 3) in [0, 1] and class indices (n,) to (n, 14, 14), each scaled to a maximum of 1, or all 0
        where nothing speaks for the class.
    """
    import keras
    import tensorflow as tf

    probabilities = model.get_layer("probabilities")
    inner = keras.Model(model.inputs[0], model.get_layer(LAST_CONVOLUTION).output)
    tail = _tail(model)

    def maps(pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        convolved = inner(pixels, training=False)
        with tf.GradientTape() as tape:
            tape.watch(convolved)
            logits = tf.matmul(tail(convolved), probabilities.kernel) + probabilities.bias
            chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
        weights = tf.reduce_mean(tape.gradient(chosen, convolved), axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * convolved, axis=-1)).numpy()
        highest = heat.max(axis=(1, 2), keepdims=True)
        return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)

    return maps


def _tail(model: object) -> Callable[[object], object]:
    """Return what follows the last convolution, up to the hidden layer's output."""
    names = [layer.name for layer in model.layers]
    rest = [layer for layer in model.layers[names.index(LAST_CONVOLUTION) + 1 :] if layer.name != "probabilities"]

    def run(x: object) -> object:
        for layer in rest:
            x = layer(x, training=False) if layer.name == "dropout" else layer(x)
        return x

    return run
