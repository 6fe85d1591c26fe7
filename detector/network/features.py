"""Features of images: pixels → pooled maps and lungs, in batches, from the cache where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np

from detector import InputError
from detector.cli.output import progress
from detector.files.cache import Cache, key
from detector.images.lungs import packed, unpacked
from detector.images.masks import NetworkInput
from detector.images.read import READER_VERSION
from detector.network import runtime
from detector.network.backbone import DECODER_DIGEST, DIGEST, WIDTH, Weights, read_decoder

# Raise when a feature changes for the same input: cached ones of the old kind must never be met again.
FEATURES_VERSION = 4
# Measured on 2 cores: from 8 on, a larger batch is no faster, and takes more memory.
BATCH = 8
CHUNK = 4096  # values that are read from the cache at a time: all features of a large data set take gigabytes

# From weights and inputs to what comes out of them, some at a time and in any order: positions among the inputs,
# features, and packed masks.
Elsewhere = Callable[[Weights, Sequence[NetworkInput]], Iterator[tuple[list[int], np.ndarray, list[bytes]]]]
Read = Callable[[NetworkInput], np.ndarray]  # an image's pixels as they are in the file, (224, 224, 3), uint8


def feature_key(one: NetworkInput) -> bytes:
    """Return the key under which the cache holds the features of an input: everything that they depend on."""
    return key(
        kind="feature",
        image=one.digest,
        angle=one.angle,
        occlusion=one.occlusion,
        weights=DIGEST,
        decoder=DECODER_DIGEST,
        precision="float32",
        versions=(READER_VERSION, FEATURES_VERSION),
    )


def lungs_key(one: NetworkInput) -> bytes:
    """Return the key of the lung mask of an image, rotated or not."""
    copy = {"copy": (one.angle, "float32")} if one.angle else {}
    made_by = {"weights": DIGEST, "decoder": DECODER_DIGEST, "version": READER_VERSION}
    return key(kind="lungs", image=one.digest, **made_by, **copy)


def recalled(
    cache: Cache, names: Sequence[bytes], compute: Callable[[list[int]], Iterator[dict[bytes, bytes]]]
) -> Iterator[bytes]:
    """Yield the value of each name, once all are there: from the cache, or computed now.

    `compute` is given positions among the names, and yields values by name, some at a time.
    """
    chunks = [range(start, min(start + CHUNK, len(names))) for start in range(0, len(names), CHUNK)]
    missing: dict[bytes, int] = {}
    for chunk in chunks:
        held = cache.get(names[i] for i in chunk)
        missing |= {names[i]: i for i in chunk if names[i] not in held}
    for values in compute([*missing.values()]) if missing else ():
        cache.put(values)
    for chunk in chunks:
        held = cache.get(names[i] for i in chunk)
        # Another run may have thrown the cache away since.
        lost = [i for i in chunk if names[i] not in held]
        for values in compute(lost) if lost else ():
            cache.put(values)
            held |= values
        yield from (held[names[i]] for i in chunk)


@dataclass(eq=False)
class Backbone:
    """The frozen network, computing features of images and where their lungs are.

    Attributes
    ----------
    elsewhere : callable, optional
        Computes on other machines what the cache does not hold; by default it is computed here.
    decoder : dict of str to (kernel, bias), optional
        Weights of the lung decoder; this project's by default.
    computed : int
        Images that went through the network.
    """

    weights: Weights
    cache: Cache
    elsewhere: Elsewhere | None = None
    decoder: Weights | None = None
    computed: int = field(default=0, init=False)

    def features(
        self, inputs: Sequence[NetworkInput], read: Read, columns: slice = slice(WIDTH), bar: str = ""
    ) -> np.ndarray:
        """Return the features of images, computing those that the cache does not hold.

        Parameters
        ----------
        read : callable
            Returns the pixels of an input's file; other machines read by themselves.
        columns : slice, optional
            Which of all features; `backbone.COLUMNS` says what is where.
        bar : str, optional
            What a bar of progress says; by default there is none.

        Returns
        -------
        ndarray of shape (len(inputs), width), float32
            Independent, to 1e-5, of the cache, of the order of the inputs and of the batches they fall into, and of
            the machine.
        """
        found = np.empty((len(inputs), len(range(WIDTH)[columns])), np.float32)
        for position, value in enumerate(self._recalled(feature_key, inputs, read, bar)):
            found[position] = np.frombuffer(value, "<f4")[columns]
        return found

    def lungs(self, inputs: Sequence[NetworkInput], read: Read, bar: str = "") -> Iterator[np.ndarray]:
        """Yield where the lungs of images are, (224, 224), bool, found in the pass that gives their features.

        No part of the images may be hidden; of a rotated copy, the mask is rotated, too.
        """
        return map(unpacked, self._recalled(lungs_key, inputs, read, bar))

    def _recalled(
        self, name: Callable[[NetworkInput], bytes], inputs: Sequence[NetworkInput], read: Read, bar: str
    ) -> Iterator[bytes]:
        """Yield a value of each input; what is computed for one is cached, features and masks."""

        def compute(positions: list[int]) -> Iterator[dict[bytes, bytes]]:
            for done, features, masks in self._batches([inputs[i] for i in positions], read, bar):
                if not np.isfinite(features).all():
                    raise InputError(f"the features of {done[0].path}, or of an image near it, are not finite")
                rows = features.astype("<f4")
                values = {feature_key(one): row.tobytes() for one, row in zip(done, rows, strict=True)}
                pairs = zip(done, masks, strict=True)
                self.computed += len(done)
                yield values | {lungs_key(one): mask for one, mask in pairs if not one.occlusion}

        return recalled(self.cache, [name(one) for one in inputs], compute)

    def _batches(
        self, inputs: Sequence[NetworkInput], read: Read, bar: str
    ) -> Iterator[tuple[Sequence[NetworkInput], np.ndarray, list[bytes]]]:
        """Yield inputs with their features and packed masks, computed here or on other machines."""
        following = progress(inputs, len(inputs), bar, quiet=not bar)
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
        inside = np.full(pixels.shape[:3], -1, np.int8)
        for row, region in zip(inside, regions, strict=False):
            if region is not None:
                row[:] = region
        features, lungs = self._forward(pixels.astype(np.float32) / 255.0, inside)
        return features.numpy(), lungs.numpy()

    @cached_property
    def _forward(self) -> Callable:
        runtime.ready()
        from detector.network.forward import compiled

        return compiled(self.weights, read_decoder() if self.decoder is None else self.decoder)
