"""The frozen base: pixels → features, in batches, at the fastest precision that serves, from the cache where it can."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.images.radiographs import READER_VERSION, SIZE
from detector.images.rotation import rotate
from detector.network import lung_decoder, runtime
from detector.network.forward import compile_forward
from detector.network.weights import DIGEST, Weights
from detector.storage.cache import Cache, key

# Measured on 2 cores: from 8 on, a larger batch is no faster, and takes more memory.
BATCH = 8
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
        held = self._recall(names, _is_features, inputs, precision, pixels, shown)
        return np.stack([np.frombuffer(held[name], "<f4") for name in names])

    def lungs(
        self,
        inputs: Sequence[NetworkInput],
        pixels: Callable[[NetworkInput], np.ndarray],
        shown: Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]] = iter,
    ) -> np.ndarray:
        """Return where the lungs of images are, found in the pass that gives their features in float32.

        Parameters
        ----------
        inputs : sequence of NetworkInput
            Images as they are, neither rotated nor with a part hidden.
        pixels, shown : callable
            As `features` takes them.

        Returns
        -------
        ndarray of shape (len(inputs), 224, 224), bool
        """
        names = [_lungs_key(one.digest) for one in inputs]
        held = self._recall(names, _is_mask, inputs, "float32", pixels, shown)
        return np.stack([_unpacked(held[name]) for name in names])

    def _recall(
        self,
        names: Sequence[bytes],
        whole: Callable[[bytes], bool],
        inputs: Sequence[NetworkInput],
        precision: str,
        pixels: Callable[[NetworkInput], np.ndarray],
        shown: Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]],
    ) -> dict[bytes, bytes]:
        """Return values by name: had before, from the cache if they are `whole`, or computed now."""
        # What this run has had already is not asked of the cache again, and not lost where there is none.
        held = self.cache.get(name for name in set(names) if name not in self._had)
        self._had |= {name: value for name, value in held.items() if whole(value)}
        missing: dict[bytes, NetworkInput] = {}
        for one, name in zip(inputs, names, strict=True):
            if name not in self._had:
                missing.setdefault(name, one)
        for values in self._compute(list(missing.values()), precision, pixels, shown):
            self._had |= values
        return self._had

    def _compute(
        self,
        inputs: Sequence[NetworkInput],
        precision: str,
        pixels: Callable[[NetworkInput], np.ndarray],
        shown: Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]],
    ) -> Iterator[dict[bytes, bytes]]:
        """Yield the values of each batch by name, kept in the cache."""
        if not inputs:
            return
        batch: list[np.ndarray] = []
        for position, one in enumerate(shown(inputs), 1):
            batch.append(rotate(pixels(one), one.angle))
            if len(batch) == BATCH or position == len(inputs):
                features, masks = self.forward(np.stack(batch).astype(np.float32) / 255.0, precision)
                if not np.isfinite(features).all():
                    raise InputError(f"{precision} features that are not finite; try --precision float32")
                done = inputs[position - len(batch) : position]
                values = {
                    self._key(x, precision): row.astype("<f4").tobytes() for x, row in zip(done, features, strict=True)
                }
                if precision == "float32":
                    whole = [(x, mask) for x, mask in zip(done, masks, strict=True) if not (x.angle or x.occlusion)]
                    values |= {_lungs_key(x.digest): _packed(mask) for x, mask in whole}
                self.cache.put(values)
                yield values
                batch = []

    def forward(self, pixels: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
        """Run the network once.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), float32, in [0, 1]
        precision : {"float32", "bfloat16"}

        Returns
        -------
        features : ndarray of shape (n, 1920), float32
        lungs : ndarray of shape (n, 224, 224), bool
            In bfloat16 of shape (n, 0, 0).
        """
        if precision not in self._forward:
            runtime.ready()
            self._forward[precision] = compile_forward(self.weights, precision)
        start = time.perf_counter()
        features, lungs = (found.numpy() for found in self._forward[precision](pixels))
        self.seconds += time.perf_counter() - start
        self.computed += len(pixels)
        return features, lungs

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


def _lungs_key(digest: str) -> bytes:
    return key(kind="lungs", image=digest, weights=DIGEST, decoder=lung_decoder.DIGEST, version=READER_VERSION)


def _is_features(data: bytes) -> bool:
    return len(data) == 4 * WIDTH


def _is_mask(data: bytes) -> bool:
    try:
        # One byte more than a mask has: what expands without bound is cut off, and is none.
        return len(zlib.decompressobj().decompress(data, SIZE * SIZE // 8 + 1)) == SIZE * SIZE // 8
    except zlib.error:
        return False


def _packed(mask: np.ndarray) -> bytes:
    """Return a mask as few bytes: a blob takes some hundred."""
    return zlib.compress(np.packbits(mask).tobytes())


def _unpacked(data: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(zlib.decompress(data), np.uint8)).astype(bool).reshape(SIZE, SIZE)
