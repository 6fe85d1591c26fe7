"""Grad-CAM: which parts of an image a prediction depends on.

References: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
ICCV 2017; B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.

Like `forward`, imported after `runtime.ready` only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from detector.network.backbone import COLUMNS, HEAT_CELLS, SIZE, Weights, read_decoder, seen_cells
from detector.network.forward import cell_weights, halved, lung_logits, pool, pooled_maps

# From pixels (n, 224, 224, 3), uint8, classes (n,) and encoded clinical values (n, k) to heat maps.
HeatMaps = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def heat_maps(weights: Weights, head: list[np.ndarray], columns: slice, decoder: Weights | None = None) -> HeatMaps:
    """Return a function from images and classes to heat maps (n, 14, 14).

    Of the tutorial's head, Grad-CAM at the last convolution: each channel is weighted by the mean gradient of the
    class's logit, and the weighted sum is cut off at 0. The logit, not the probability: where the model is confident,
    the probability's gradient vanishes.

    A probe's logit is a sum over the cells of all maps, so that gradient times value is what each cell adds to it,
    exactly. What separates the classes is a logit's distance from their mean; softmax knows nothing else of it. The
    bias, and what clinical values add, is spread over the cells as the last map's are weighted.

    Parameters
    ----------
    head : list of ndarray
        Kernel and bias of each dense layer.
    columns : slice
        Which features the head reads, as in `backbone.COLUMNS`.
    decoder : dict of str to (kernel, bias), optional
        Of the lungs; this project's by default.

    Returns
    -------
    callable
        Its maps are scaled to a maximum of 1, or all 0 where nothing speaks for the class.
    """
    *hidden, kernel, bias = head
    if not hidden:
        kernel, bias = kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()
    maps_of, lungs_of = pooled_maps(weights), lung_logits(read_decoder() if decoder is None else decoder)
    seen = seen_cells(columns)
    inside_lungs = columns in (COLUMNS["tutorial", "lungs"], COLUMNS["probe", "lungs"])

    def shares_of(inside: tf.Tensor) -> tf.Tensor:
        """Return the weights of the last map's cells, (n, 14, 14, 1), which add up to 1."""
        if seen < HEAT_CELLS:
            corner = tf.ones((seen, seen)) / seen**2
            return tf.pad(corner, [[0, HEAT_CELLS - seen]] * 2)[None, ..., None]
        pixels = cell_weights(inside if inside_lungs else tf.zeros_like(inside))
        side = SIZE // HEAT_CELLS
        return side**2 * tf.nn.avg_pool2d(pixels, side, side, "VALID")

    @tf.function(autograph=False, reduce_retracing=True)
    def heat(pixels: tf.Tensor, classes: tf.Tensor, extra: tf.Tensor) -> tf.Tensor:
        maps, last = maps_of(pixels)
        inside = lungs_of(maps)[..., 0] > 0
        with tf.GradientTape() as tape:
            tape.watch([maps, last])
            read = [*maps[:-1], halved(last)] if hidden else maps
            x = tf.concat([pool(read, inside)[:, columns], extra], axis=1)
            for inner, shift in zip(hidden[::2], hidden[1::2], strict=True):
                x = tf.nn.relu(x @ inner + shift)
            logits = tf.gather(x @ kernel + bias, classes, axis=1, batch_dims=1)
        if hidden:
            weight = tf.reduce_mean(tape.gradient(logits, last), (1, 2), keepdims=True)
            return tf.reduce_sum(weight * last, -1)
        pairs = zip(maps, tape.gradient(logits, maps, unconnected_gradients="zero"), strict=True)
        added = [tf.reduce_sum(x * gradient, -1, keepdims=True) for x, gradient in pairs]
        constant = logits - sum(tf.reduce_sum(one, (1, 2, 3)) for one in added)
        # Each cell of a larger map is a part of one of these; each of a smaller map covers several.
        on_grid = [
            tf.image.resize(one, (HEAT_CELLS, HEAT_CELLS), "area") * (one.shape[1] / HEAT_CELLS) ** 2 for one in added
        ]
        return (sum(on_grid) + constant[:, None, None, None] * shares_of(inside))[..., 0]

    def scaled(pixels: np.ndarray, classes: np.ndarray, extra: np.ndarray) -> np.ndarray:
        found = np.maximum(heat(pixels.astype(np.float32) / 255.0, classes, extra.astype(np.float32)).numpy(), 0.0)
        # The head's pooling may leave cells out; what it cannot see did not speak for anything.
        found[:, seen:] = found[:, :, seen:] = 0.0
        highest = found.max(axis=(1, 2), keepdims=True)
        return np.divide(found, highest, out=np.zeros_like(found), where=highest > 0)

    return scaled
