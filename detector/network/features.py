"""Features of images: pixels → pooled maps and lungs, in batches, from the cache where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.files.cache import Cache, key
from detector.images.lungs import packed, unpacked
from detector.images.masks import NetworkInput
from detector.images.read import READER_VERSION
from detector.network import lungs as lung_decoder
from detector.network import runtime
from detector.network.backbone import DIGEST, SIZE, WIDTH, Weights, pool, pooled_maps

if TYPE_CHECKING:
    import tensorflow as tf

# Raise when a feature changes for the same input: cached ones of the old kind must never be met again.
FEATURES_VERSION = 4
# Measured on 2 cores: from 8 on, a larger batch is no faster, and takes more memory.
BATCH = 8
CHUNK = 4096  # values that are read from the cache at a time

# From weights and inputs to what comes out of them, some at a time and in any order: positions among the inputs,
# features, and packed masks.
Elsewhere = Callable[[Weights, Sequence[NetworkInput]], Iterator[tuple[list[int], np.ndarray, list[bytes]]]]
Read = Callable[[NetworkInput], np.ndarray]  # an image's pixels as they are in the file, (224, 224, 3), uint8
Shown = Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]]  # wraps what must be computed, to show progress
Forward = Callable[[np.ndarray, np.ndarray], tuple["tf.Tensor", "tf.Tensor"]]


def feature_key(one: NetworkInput) -> bytes:
    """Return the key under which the cache holds the features of an input: everything that they depend on."""
    return key(
        kind="feature",
        image=one.digest,
        angle=one.angle,
        occlusion=one.occlusion,
        weights=DIGEST,
        decoder=lung_decoder.DIGEST,
        precision="float32",
        versions=(READER_VERSION, FEATURES_VERSION),
    )


def lungs_key(digest: str, angle: float = 0.0) -> bytes:
    """Return the key of the lung mask of an image, rotated or not."""
    copy = {"copy": (angle, "float32")} if angle else {}
    return key(kind="lungs", image=digest, weights=DIGEST, decoder=lung_decoder.DIGEST, version=READER_VERSION, **copy)


class Backbone:
    """The frozen network, computing features of images and where their lungs are.

    Parameters
    ----------
    elsewhere : callable, optional
        Computes on other machines what the cache does not hold; by default it is computed here.
    decoder : list of ndarray, optional
        Weights of the lung decoder; this project's by default.

    Attributes
    ----------
    computed : int
        Images that went through the network.
    """

    def __init__(
        self,
        weights: Weights,
        cache: Cache,
        elsewhere: Elsewhere | None = None,
        decoder: lung_decoder.Arrays | None = None,
    ) -> None:
        self.weights = weights
        self.cache = cache
        self.elsewhere = elsewhere
        self.decoder = decoder
        self.computed = 0
        self._forward: Forward | None = None

    def features(
        self, inputs: Sequence[NetworkInput], read: Read, shown: Shown = iter, columns: slice = slice(WIDTH)
    ) -> np.ndarray:
        """Return the features of images, computing those that the cache does not hold.

        Parameters
        ----------
        read : callable
            Returns the pixels of an input's file, (224, 224, 3), uint8; other machines read by themselves.
        shown : callable
            Wraps the inputs that must be computed, to show progress.
        columns : slice, optional
            Which of all features; `backbone.COLUMNS` says what is where.

        Returns
        -------
        ndarray of shape (len(inputs), width), float32
            Independent, to 1e-5, of the cache, of the order of the inputs and of the batches they fall into, and of
            the machine.
        """
        found = np.empty((len(inputs), len(range(WIDTH)[columns])), np.float32)
        names = [feature_key(one) for one in inputs]
        for position, value in enumerate(self._recall(names, inputs, read, shown)):
            found[position] = np.frombuffer(value, "<f4")[columns]
        return found

    def lungs(self, inputs: Sequence[NetworkInput], read: Read, shown: Shown = iter) -> Iterator[np.ndarray]:
        """Yield where the lungs of images are, (224, 224), bool, found in the pass that gives their features.

        No part of the images may be hidden; of a rotated copy, the mask is rotated, too.
        """
        names = [lungs_key(one.digest, one.angle) for one in inputs]
        for value in self._recall(names, inputs, read, shown):
            yield unpacked(value)

    def _recall(
        self, names: Sequence[bytes], inputs: Sequence[NetworkInput], read: Read, shown: Shown
    ) -> Iterator[bytes]:
        """Yield the value of each name, once all are there: from the cache, or computed now.

        Some at a time: all features of a large data set at once take gigabytes.
        """
        chunks = [slice(start, start + CHUNK) for start in range(0, len(names), CHUNK)]
        missing: dict[bytes, NetworkInput] = {}
        for chunk in chunks:
            held = self.cache.get(names[chunk])
            missing |= {name: one for name, one in zip(names[chunk], inputs[chunk], strict=True) if name not in held}
        for _ in self._computed(list(missing.values()), read, shown):
            pass
        for chunk in chunks:
            held = self.cache.get(names[chunk])
            # Another run may have thrown the cache away since.
            lost = [one for name, one in zip(names[chunk], inputs[chunk], strict=True) if name not in held]
            for values in self._computed(lost, read, iter):
                held |= values
            yield from (held[name] for name in names[chunk])

    def _computed(self, inputs: Sequence[NetworkInput], read: Read, shown: Shown) -> Iterator[dict[bytes, bytes]]:
        """Yield what is computed of some inputs by its keys, in batches; the cache has it."""
        for done, features, masks in self._batches(inputs, read, shown) if inputs else ():
            if not np.isfinite(features).all():
                raise InputError(f"the features of {done[0].path}, or of an image near it, are not finite")
            rows = features.astype("<f4")
            values = {feature_key(one): row.tobytes() for one, row in zip(done, rows, strict=True)}
            pairs = zip(done, masks, strict=True)
            values |= {lungs_key(one.digest, one.angle): mask for one, mask in pairs if not one.occlusion}
            self.computed += len(done)
            self.cache.put(values)
            yield values

    def _batches(
        self, inputs: Sequence[NetworkInput], read: Read, shown: Shown
    ) -> Iterator[tuple[Sequence[NetworkInput], np.ndarray, list[bytes]]]:
        """Yield inputs with their features and packed masks, computed here or on other machines."""
        following = iter(shown(inputs))
        if self.elsewhere:
            for positions, features, masks in self.elsewhere(self.weights, inputs):
                yield [inputs[position] for position in positions], features, masks
                list(islice(following, len(positions)))
            return
        while done := list(islice(following, BATCH)):
            pixels = np.stack([one.shown(read(one)) for one in done])
            features, lungs = self.forward(pixels, [one.region() for one in done])
            yield done, features, [packed(mask) for mask in lungs]

    def forward(self, pixels: np.ndarray, regions: Sequence[np.ndarray | None] = ()) -> tuple[np.ndarray, np.ndarray]:
        """Run the network once.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), uint8
        regions : sequence of ndarray of shape (224, 224), bool, or None
            What features "inside the lungs" are pooled over; None, and the default, are the lungs that are found.

        Returns
        -------
        features : ndarray of shape (n, `WIDTH`), float32
        lungs : ndarray of shape (n, 224, 224), bool
        """
        if self._forward is None:
            runtime.ready()
            self._forward = compile_forward(self.weights, lung_decoder.read() if self.decoder is None else self.decoder)
        inside = np.full(pixels.shape[:3], -1, np.int8)
        for row, region in zip(inside, regions, strict=False):
            if region is not None:
                row[:] = region
        features, lungs = self._forward(pixels.astype(np.float32) / 255.0, inside)
        return features.numpy(), lungs.numpy()


def compile_forward(weights: Weights, decoder: lung_decoder.Arrays) -> Forward:
    """Return a compiled function from pixels and pooled regions to features and lung masks.

    A region is (n, 224, 224), int8: 1 inside, 0 outside, -1 for the lungs that are found.
    """
    import tensorflow as tf

    maps, lungs = pooled_maps(weights), lung_decoder.compiled(decoder)
    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32), tf.TensorSpec((None, SIZE, SIZE), tf.int8)]

    # Without AutoGraph: it writes the code that it makes to temporary files, which stay behind.
    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels: tf.Tensor, regions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found, _ = maps(pixels)
        masks = lungs(found)[..., 0] > 0
        return pool(found, tf.where(regions < 0, masks, regions > 0)), masks

    return forward
