"""The forward pass in TensorFlow: the network's maps, lungs on them, and features of them.

TensorFlow takes seconds to import: nothing imports this module before `runtime.ready` has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from detector.network.backbone import (
    BLOCKS,
    DECODER_CELLS,
    DILATIONS,
    MAPS,
    SIZE,
    STEEPNESS,
    TYPICAL,
    UPPER_LEFT,
    Weights,
)


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
