"""The frozen base: pixels → features, in batches, at the fastest precision that serves, from the cache where it can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.files.cache import Cache
from detector.images.lungs import is_packed, packed, unpacked
from detector.images.masks import NetworkInput
from detector.network import runtime
from detector.network.feature_keys import feature_key, is_features, lungs_key
from detector.network.forward import Forward, compile_forward
from detector.network.kept_maps import KeptMaps
from detector.network.poolings import WIDTH
from detector.network.weights import Weights

# Measured on 2 cores: from 8 on, a larger batch is no faster, and takes more memory.
BATCH = 8
CHUNK = 4096  # values that are read from the cache at a time

# From weights, inputs and precision to what comes out of them, some at a time and in any order: positions among the
# inputs, features, and packed masks.
Elsewhere = Callable[[Weights, Sequence[NetworkInput], str], Iterator[tuple[list[int], np.ndarray, list[bytes]]]]
Read = Callable[[NetworkInput], np.ndarray]  # an image's pixels as they are in the file, (224, 224, 3), uint8
Shown = Callable[[Sequence[NetworkInput]], Iterator[NetworkInput]]  # wraps what must be computed, to show progress


@dataclass(frozen=True)
class Request:
    """Images whose features are asked for.

    Attributes
    ----------
    inputs : sequence of NetworkInput
    precision : {"float32", "bfloat16"}
    read : callable
        Returns the pixels of an input's file.
    """

    inputs: Sequence[NetworkInput]
    precision: str
    read: Read

    def part(self, start: int) -> Request:
        """Return the request for one chunk of the images."""
        return replace(self, inputs=self.inputs[start : start + CHUNK])


class Backbone:
    """VGG16 without its top, computing features: means of its maps, as `poolings.COLUMNS` names them.

    Parameters
    ----------
    weights : dict of str to (kernel, bias)
    cache : Cache
    elsewhere : callable, optional
        Computes on other machines what the cache does not hold; by default it is computed here.
    """

    def __init__(self, weights: Weights, cache: Cache, elsewhere: Elsewhere | None = None) -> None:
        self.weights = weights
        self.cache = cache
        self.elsewhere = elsewhere
        self.computed = 0  # images that went through the network
        self.seconds = 0.0  # that they took in it, here
        self.kept_maps = KeptMaps(0)  # none, unless a run asks for them
        self._had: dict[bytes, bytes] = {}  # what the cache does not keep
        self._forward: dict[str, Forward] = {}

    def features(
        self,
        inputs: Sequence[NetworkInput],
        precision: str,
        read: Read,
        shown: Shown = iter,
        columns: slice = slice(WIDTH),
    ) -> np.ndarray:
        """Return the features of images, computing those that the cache does not hold.

        Parameters
        ----------
        inputs : sequence of NetworkInput
        precision : {"float32", "bfloat16"}
        read : callable
            Returns the pixels of an input's file, (224, 224, 3), uint8; other machines read by themselves.
        shown : callable
            Wraps the inputs that must be computed, to show progress.
        columns : slice, optional
            Which of the 3328; `poolings.COLUMNS` says what is where.

        Returns
        -------
        ndarray of shape (len(inputs), width), float32
            Independent, to 1e-5, of the cache, of the order of the inputs and of the batches they fall into, and of
            the machine.
        """
        found = np.empty((len(inputs), len(range(WIDTH)[columns])), np.float32)
        names = [feature_key(one, precision) for one in inputs]
        for position, value in enumerate(self._recall(names, is_features, Request(inputs, precision, read), shown)):
            found[position] = np.frombuffer(value, "<f4")[columns]
        return found

    def lungs(
        self, inputs: Sequence[NetworkInput], read: Read, shown: Shown = iter, precision: str = "float32"
    ) -> Iterator[np.ndarray]:
        """Yield where the lungs of images are, found in the pass that gives their features.

        Parameters
        ----------
        inputs : sequence of NetworkInput
            Images of which no part is hidden; of a rotated copy, the mask is rotated, too.
        read, shown : callable
            As `features` takes them.
        precision : {"float32", "bfloat16"}
            Of the pass.

        Yields
        ------
        ndarray of shape (224, 224), bool
        """
        names = [lungs_key(one.digest, one.angle, precision) for one in inputs]
        for value in self._recall(names, is_packed, Request(inputs, precision, read), shown):
            yield unpacked(value)

    def _recall(
        self,
        names: Sequence[bytes],
        whole: Callable[[bytes], bool],
        request: Request,
        shown: Shown,
    ) -> Iterator[bytes]:
        """Yield the value of each name, once all are there: from the cache if they are `whole`, or computed now.

        Some at a time: all features of a large data set at once take gigabytes.
        """
        self._complete(names, whole, request, shown)
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            held = self._held(chunk, whole)
            if any(name not in held for name in chunk):
                # The cache has failed since, or another run has thrown it away.
                self._complete(chunk, whole, request.part(start), iter, keep=True)
                held = self._held(chunk, whole)
            yield from (held[name] for name in chunk)

    def _held(self, names: Sequence[bytes], whole: Callable[[bytes], bool]) -> dict[bytes, bytes]:
        held = {name: self._had[name] for name in names if name in self._had}
        asked = self.cache.get(name for name in names if name not in held)
        return held | {name: value for name, value in asked.items() if whole(value)}

    def _complete(
        self,
        names: Sequence[bytes],
        whole: Callable[[bytes], bool],
        request: Request,
        shown: Shown,
        keep: bool = False,
    ) -> None:
        """Compute what is not there; what the cache does not keep, or `keep` says, stays in memory."""
        missing: dict[bytes, NetworkInput] = {}
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            held = self._held(chunk, whole)
            pairs = zip(request.part(start).inputs, chunk, strict=True)
            missing |= {name: one for one, name in pairs if name not in held and name not in missing}
        if not missing:
            return
        todo, precision = replace(request, inputs=list(missing.values())), request.precision
        if self.elsewhere is None:
            batches = self._computed_here(todo, shown)
        else:
            batches = self._computed_elsewhere(self.elsewhere, todo, shown)
        for done, features, masks in batches:
            if not np.isfinite(features).all():
                raise InputError(f"{precision} features that are not finite; try --precision float32")
            values = {
                feature_key(one, precision): row.astype("<f4").tobytes()
                for one, row in zip(done, features, strict=True)
            }
            values |= {
                lungs_key(one.digest, one.angle, precision): mask
                for one, mask in zip(done, masks, strict=True)
                if not one.occlusion
            }
            self.computed += len(done)
            self.cache.put(values)
            if keep or not self.cache.keeps:
                self._had |= values

    def _computed_here(
        self, request: Request, shown: Shown
    ) -> Iterator[tuple[Sequence[NetworkInput], np.ndarray, list[bytes]]]:
        """Yield each batch with its features and packed masks."""
        batch: list[np.ndarray] = []
        regions: list[np.ndarray | None] = []
        for position, one in enumerate(shown(request.inputs), 1):
            batch.append(one.shown(request.read(one)))
            regions.append(one.region())
            if len(batch) == BATCH or position == len(request.inputs):
                pixels = np.stack(batch).astype(np.float32) / 255.0
                features, masks, maps = self.forward(pixels, request.precision, regions)
                done = request.inputs[position - len(batch) : position]
                self.kept_maps.add(done, request.precision, maps)
                yield done, features, [packed(mask) for mask in masks]
                batch, regions = [], []

    def _computed_elsewhere(
        self, elsewhere: Elsewhere, request: Request, shown: Shown
    ) -> Iterator[tuple[Sequence[NetworkInput], np.ndarray, list[bytes]]]:
        """Yield what other machines have computed, as it comes."""
        counted = iter(shown(request.inputs))
        for positions, features, masks in elsewhere(self.weights, request.inputs, request.precision):
            for _ in positions:
                next(counted)
            yield [request.inputs[position] for position in positions], features, masks

    def forward(
        self, pixels: np.ndarray, precision: str, regions: Sequence[np.ndarray | None] = ()
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run the network once.

        Parameters
        ----------
        pixels : ndarray of shape (n, 224, 224, 3), float32, in [0, 1]
        precision : {"float32", "bfloat16"}
        regions : sequence of ndarray of shape (224, 224), bool, or None
            What features "inside the lungs" are pooled over; None, and the default, are the lungs that are found.

        Returns
        -------
        features : ndarray of shape (n, 3328), float32
        lungs : ndarray of shape (n, 224, 224), bool
        maps : ndarray of shape (n, 14, 14, 512), float32, of the last convolution
        """
        if precision not in self._forward:
            runtime.ready()
            self._forward[precision] = compile_forward(self.weights, precision)
        inside = np.full(pixels.shape[:3], -1, np.int8)
        for row, region in zip(inside, regions, strict=False):
            if region is not None:
                row[:] = region
        start = time.perf_counter()
        features, lungs, maps = (found.numpy() for found in self._forward[precision](pixels, inside))
        self.seconds += time.perf_counter() - start
        return features, lungs, maps
