"""The frozen base: pixels → features, in batches, at the fastest precision that serves, from the cache where it can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.images.radiographs import READER_VERSION
from detector.images.rotation import rotate
from detector.network import runtime
from detector.network.weights import DIGEST, LAYERS, Weights
from detector.storage.cache import Cache, key

# Measured on 2 cores: from 8 on, a larger batch is no faster, and takes more memory.
BATCH = 8
CORNER = 4  # the tutorial's 4 × 4 pooling fits into the 7 × 7 map of block5_pool once: into the upper left
CHANNELS_BY_BLOCK = {"block2_pool": 128, "block3_pool": 256, "block4_pool": 512, "block5_pool": 512}
# One forward pass gives what every recipe reads: the corner of block5_pool, then the mean of each block's whole map.
POOLINGS = {"corner": slice(0, 512), "global": slice(1408, 1920), "depths": slice(512, 1920)}
WIDTH = 1920
# Raise when a feature changes for the same input: cached ones of the old kind must never be met again.
FEATURES_VERSION = 2


@dataclass(frozen=True)
class NetworkInput:
    """What the base is to see of one image file.

    Attributes
    ----------
    path : Path
    digest : str
        SHA-256 of the file.
    angle : float
        Rotation in degrees.
    occlusion : str
        Names what is hidden, and by which mask; empty for nothing.
    """

    path: Path
    digest: str
    angle: float = 0.0
    occlusion: str = ""


class Backbone:
    """VGG16 without its top, computing features: what `POOLINGS` names of its maps.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    cache : Cache
    """

    def __init__(self, weights: Weights, cache: Cache) -> None:
        self.weights = weights
        self.cache = cache
        self.computed = 0  # images that went through the network
        self.seconds = 0.0  # that they took in it
        self._had: dict[bytes, bytes] = {}
        self._forward: dict[str, Callable[[np.ndarray], np.ndarray]] = {}

    def features(
        self,
        inputs: Sequence[NetworkInput],
        precision: str,
        pixels: Callable[[NetworkInput], np.ndarray],
        shown: Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]] = iter,
    ) -> np.ndarray:
        """Return the features of images, computing those that the cache does not hold.

        Parameters
        ----------
        inputs : sequence of NetworkInput
        precision : {"float32", "bfloat16"}
        pixels : callable
            Returns an input's pixels before rotation, (224, 224, 3), uint8.
        shown : callable
            Wraps the inputs that must be computed, to show progress.

        Returns
        -------
        ndarray of shape (len(inputs), 1920), float32
            `POOLINGS` says where what is.
            Independent, to 1e-5, of the cache, of the order of the inputs and of the batches they fall into.
        """
        names = [self._key(one, precision) for one in inputs]
        # What this run has had already is not asked of the cache again, and not lost where there is none.
        held = {name: self._had[name] for name in names if name in self._had}
        held |= self.cache.get(name for name in names if name not in held)
        features = np.empty((len(inputs), WIDTH), np.float32)
        missing: dict[bytes, NetworkInput] = {}
        for one, name in zip(inputs, names, strict=True):
            if len(held.get(name, b"")) != 4 * WIDTH:
                missing.setdefault(name, one)
        computed = dict(self._compute(missing, precision, pixels, shown))
        self._had |= held | {name: row.astype("<f4").tobytes() for name, row in computed.items()}
        for i, name in enumerate(names):
            features[i] = computed[name] if name in computed else np.frombuffer(held[name], "<f4")
        return features

    def _compute(
        self,
        missing: dict[bytes, NetworkInput],
        precision: str,
        pixels: Callable[[NetworkInput], np.ndarray],
        shown: Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]],
    ) -> Iterator[tuple[bytes, np.ndarray]]:
        if not missing:
            return
        names = list(missing)
        batch: list[np.ndarray] = []
        for position, one in enumerate(shown(list(missing.values())), 1):
            batch.append(rotate(pixels(one), one.angle))
            if len(batch) == BATCH or position == len(names):
                rows = self.forward(np.stack(batch).astype(np.float32) / 255.0, precision)
                if not np.isfinite(rows).all():
                    raise InputError(f"{precision} features that are not finite; try --precision float32")
                done = dict(zip(names[position - len(batch) : position], rows, strict=True))
                self.cache.put({name: row.astype("<f4").tobytes() for name, row in done.items()})
                yield from done.items()
                batch = []

    def forward(self, pixels: np.ndarray, precision: str) -> np.ndarray:
        """Run the network once.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), float32, in [0, 1]
        precision : {"float32", "bfloat16"}

        Returns
        -------
        ndarray of shape (n, 1920), float32
        """
        if precision not in self._forward:
            runtime.ready()
            self._forward[precision] = compile_forward(self.weights, precision)
        start = time.perf_counter()
        features = self._forward[precision](pixels).numpy()
        self.seconds += time.perf_counter() - start
        self.computed += len(pixels)
        return features

    def _key(self, one: NetworkInput, precision: str) -> bytes:
        return key(
            kind="feature",
            image=one.digest,
            angle=one.angle,
            occlusion=one.occlusion,
            weights=DIGEST,
            precision=precision,
            versions=(READER_VERSION, FEATURES_VERSION),
        )


def compile_forward(weights: Weights, precision: str) -> Callable[[np.ndarray], object]:
    """Return a compiled function from pixels to pooled features.

    The layers are written out rather than taken from Keras' model: weights that are constants are cast, and brought
    into the CPU's preferred layout, once instead of in every batch.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    precision : {"float32", "bfloat16"}

    Returns
    -------
    callable
        From (n, 224, 224, 3) in [0, 1] to a float32 tensor of shape (n, 1920).
    """
    import tensorflow as tf

    constants = {name: [tf.constant(array, precision) for array in pair] for name, pair in weights.items()}

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)], autograph=False)
    def forward(pixels):  # noqa: ANN001, ANN202
        x, means = tf.cast(pixels, precision), []
        for i, layer in enumerate(LAYERS):
            kernel, bias = constants[layer]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            if i + 1 == len(LAYERS) or LAYERS[i + 1].endswith("conv1"):
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
                if f"{layer.partition('_')[0]}_pool" in CHANNELS_BY_BLOCK:
                    means.append(tf.reduce_mean(tf.cast(x, tf.float32), (1, 2)))
        corner = tf.reduce_mean(tf.cast(x[:, :CORNER, :CORNER], tf.float32), (1, 2))
        return tf.concat([corner, *means], axis=1)

    return forward
