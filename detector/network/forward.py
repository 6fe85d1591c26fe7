"""The network in TensorFlow: its maps, lungs on them and features of them, and which cells a prediction depends on.

TensorFlow takes seconds to import: nothing imports this module before `runtime.ready` has returned.

References, of Grad-CAM: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017; B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from detector.network.backbone import (
    BLOCKS,
    COLUMNS,
    DECODER_CELLS,
    DILATIONS,
    HEAT_CELLS,
    MAPS,
    SIZE,
    STEEPNESS,
    TYPICAL,
    UPPER_LEFT,
    Weights,
    read_decoder,
    seen_cells,
)

# From pixels (n, 224, 224, 3), uint8, classes (n,) and encoded clinical values (n, k) to heat maps.
HeatMaps = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def compiled(weights: Weights, decoder: Weights) -> Callable[[np.ndarray, np.ndarray], tuple[tf.Tensor, tf.Tensor]]:
    """Return a compiled function from pixels and pooled regions to features and lung masks.

    Pixels are (n, 224, 224, 3), float32 in [0, 1]. A region is (n, 224, 224), int8: 1 inside, 0 outside, -1 for the
    lungs that are found.
    """
    maps, lungs = pooled_maps(weights), lung_logits(decoder)
    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32), tf.TensorSpec((None, SIZE, SIZE), tf.int8)]

    # Without AutoGraph: it writes the code that it makes to temporary files, which stay behind.
    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels: tf.Tensor, regions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found, _ = maps(pixels)
        masks = lungs(found)[..., 0] > 0
        return pool(found, tf.where(regions < 0, masks, regions > 0)), masks

    return forward


def pooled_maps(weights: Weights) -> Callable[[tf.Tensor], tuple[list[tf.Tensor], tf.Tensor]]:
    """Return a function from pixels (n, 224, 224, 3) in [0, 1] to the `MAPS`, and to the last convolution's output.

    The layers are written out rather than taken from Keras' model: weights that are constants are brought into the
    CPU's preferred layout once instead of in every batch.
    """
    constants = {name: [tf.constant(array) for array in pair] for name, pair in weights.items()}

    def maps(pixels: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        x, found = pixels, []
        for block, (count, _) in BLOCKS.items():
            for i in range(1, count + 1):
                kernel, bias = constants[f"{block}_conv{i}"]
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            convolved, x = x, halved(x)
            found += [x] if f"{block}_pool" in MAPS else []
        return found, convolved

    return maps


def halved(x: tf.Tensor) -> tf.Tensor:
    """Return the pooling that ends a block."""
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def pool(maps: list[tf.Tensor], inside: tf.Tensor) -> tf.Tensor:
    """Return features of the `MAPS`, as `backbone.COLUMNS` orders them, given a region (n, 224, 224), bool.

    A cell of a map weighs what it covers of the region; in an empty region every cell weighs the same.
    """
    weights = cell_weights(inside)
    found = [tf.reduce_mean(maps[-1][:, :UPPER_LEFT, :UPPER_LEFT], (1, 2))]
    found += [tf.reduce_mean(x, (1, 2)) for x in maps]
    for x in maps:
        cells, channels = x.shape[1], x.shape[3]
        side = SIZE // cells
        shares = tf.reshape(side**2 * tf.nn.avg_pool2d(weights, side, side, "VALID"), (-1, cells * cells))
        found.append(tf.einsum("nk,nkc->nc", shares, tf.reshape(x, (-1, cells * cells, channels))))
    return tf.concat(found, axis=1)


def cell_weights(inside: tf.Tensor) -> tf.Tensor:
    """Return the weight of each pixel, (n, 224, 224, 1), adding up to 1, by the softmax that the saved model has."""
    flat = STEEPNESS * tf.reshape(tf.cast(inside, tf.float32), (-1, SIZE * SIZE))
    return tf.reshape(tf.nn.softmax(flat, axis=1), (-1, SIZE, SIZE, 1))


def lung_logits(decoder: Weights) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    """Return the lung decoder: a function from the `MAPS` to logits of being lung (n, 224, 224, 1)."""
    layers = list(decoder.values())

    def convolved(x: tf.Tensor, index: int, dilation: int = 1) -> tf.Tensor:
        kernel, bias = layers[index]
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME", dilations=dilation), bias)

    def enlarged(x: tf.Tensor, cells: int) -> tf.Tensor:
        return x if x.shape[1] == cells else tf.image.resize(x, (cells, cells), "bilinear")

    def logits(maps: Sequence[tf.Tensor]) -> tf.Tensor:
        scaled = [x * (1.0 / typical) for x, typical in zip(maps, TYPICAL.values(), strict=True)]
        parts = [enlarged(convolved(tf.nn.softsign(x), index), DECODER_CELLS) for index, x in enumerate(scaled)]
        x = tf.nn.relu(parts[0] + parts[1] + parts[2] + parts[3])
        for index, dilation in enumerate(DILATIONS, len(parts)):
            x = tf.nn.relu(convolved(x, index, dilation))
        return enlarged(convolved(x, len(layers) - 1), SIZE)

    return logits


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
