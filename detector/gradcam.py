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
        From the model's inputs and class indices (n,) to (n, 14, 14), each scaled to a maximum of 1, or all 0 where
        nothing speaks for the class.
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
        highest = heat.max(axis=(1, 2), keepdims=True)
        return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)

    return maps


def seen_cells(model: object) -> int:
    """Return how many rows and columns of the last convolution's 14, from the upper left, the head's pooling sees."""
    return 2 * int(model.get_layer("pool").pool_size[0])
