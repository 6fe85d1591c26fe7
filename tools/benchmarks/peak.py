"""Compare the base's throughput with the peak that a large matrix product reaches in the same process."""

from __future__ import annotations

import time

import numpy as np

from detector.network import runtime
from detector.network.backbone import BATCH, Backbone
from detector.network.precision import choose_precision
from detector.network.weights import CHANNELS, load
from detector.storage.cache import Cache, default_folder

SIDES = (224, 224, 112, 112, 56, 56, 56, 28, 28, 28, 14, 14, 14)
# Multiplications and additions of the 13 convolutions for one image.
FLOPS = sum(2 * 9 * side**2 * CHANNELS[i] * CHANNELS[i + 1] for i, side in enumerate(SIDES))
N, TIMES, BATCHES = 4096, 5, 10


def product_peak(precision: str) -> float:
    """Return the best rate of an N × N matrix product, in FLOP/s."""
    import tensorflow as tf

    a, b = (tf.cast(tf.random.normal((N, N)), precision) for _ in range(2))
    multiply = tf.function(tf.matmul)
    multiply(a, b).numpy()
    best = 0.0
    for _ in range(TIMES):
        start = time.perf_counter()
        multiply(a, b).numpy()
        best = max(best, 2 * N**3 / (time.perf_counter() - start))
    return best


def main() -> None:
    weights, _ = load(None, default_folder())
    runtime.ready()
    precision = choose_precision("auto", Cache(None))
    backbone = Backbone(weights, Cache(None))
    pixels = np.random.default_rng(0).random((BATCH, 224, 224, 3), np.float32)
    backbone.forward(pixels, precision)
    before = product_peak(precision)
    backbone.seconds = 0.0
    for _ in range(BATCHES):
        backbone.forward(pixels, precision)
    peak = max(before, product_peak(precision))
    rate = BATCHES * BATCH / backbone.seconds
    print(f"{precision} {rate:.2f} {rate * FLOPS / 1e9:.1f} {peak / 1e9:.1f}")


if __name__ == "__main__":
    main()
