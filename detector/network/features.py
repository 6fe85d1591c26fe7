"""Features of images: pixels → pooled maps and lungs, in batches, from the cache where it can."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.files.cache import Cache, key
from detector.images.lungs import is_packed, packed, unpacked
from detector.images.masks import NetworkInput
from detector.images.read import READER_VERSION, SIZE
from detector.network import lungs as lung_decoder
from detector.network import runtime
from detector.network.backbone import (
    DIGEST,
    STEEPNESS,
    UPPER_LEFT,
    WIDTH,
    Weights,
    pooled_maps,
)

if TYPE_CHECKING:
    import tensorflow as tf

MOST_MAPS = 64  # images: 25 MiB


class KeptMaps:
    """The last convolution's maps of the first whole images that passed through the network in float32, in memory.

    Parameters
    ----------
    most : int
        Images; 0 where no Grad-CAM reads them.
    """

    def __init__(self, most: int = MOST_MAPS) -> None:
        self.most = most
        self._maps: dict[NetworkInput, np.ndarray] = {}

    def __contains__(self, one: NetworkInput) -> bool:
        return one in self._maps

    def add(self, inputs: Sequence[NetworkInput], precision: str, maps: np.ndarray) -> None:
        """Keep maps (n, 14, 14, 512), as long as there is room; Grad-CAM needs none of rotated or rounded copies."""
        for one, values in zip(inputs, maps, strict=True):
            if precision == "float32" and not one.angle and not one.part and len(self._maps) < self.most:
                self._maps[one] = values

    def of(self, inputs: Sequence[NetworkInput]) -> np.ndarray:
        """Return the maps of inputs that are all kept, (n, 14, 14, 512)."""
        return np.stack([self._maps[one] for one in inputs])


# By precision. Raise when a feature changes for the same input: cached ones of the old kind must never be met again.
FEATURES_VERSION = {"float32": 4, "bfloat16": 5}


def feature_key(one: NetworkInput, precision: str) -> bytes:
    """Return the key of the features of an input."""
    return key(
        kind="feature",
        image=one.digest,
        angle=one.angle,
        occlusion=one.occlusion,
        weights=DIGEST,
        decoder=lung_decoder.DIGEST,
        precision=precision,
        versions=(READER_VERSION, FEATURES_VERSION[precision]),
    )


def lungs_key(digest: str, angle: float = 0.0, precision: str = "float32") -> bytes:
    """Return the key of the lung mask of an image, rotated or not."""
    copy = {"copy": (angle, precision)} if angle or precision != "float32" else {}
    return key(kind="lungs", image=digest, weights=DIGEST, decoder=lung_decoder.DIGEST, version=READER_VERSION, **copy)


def is_features(data: bytes) -> bool:
    """Return whether bytes can be the features of an input."""
    return len(data) == 4 * WIDTH


# bfloat16 must be this much faster to be chosen; where a CPU has it in hardware it is about twice as fast.
WORTH_IT = 1.3


def choose_precision(wanted: str, cache: Cache) -> str:
    """Return the precision for training copies: the one wanted or, for ``"auto"``, the faster one here.

    The faster one is measured, since it depends on the machine: a convolution of VGG16's widest block, a few times in
    turn. The finding is kept, so that later runs on this machine compute the same features.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16"}
    cache : Cache

    Returns
    -------
    {"float32", "bfloat16"}
    """
    if wanted != "auto":
        return wanted
    runtime.ready()
    import tensorflow as tf

    devices = [device.name for device in tf.config.list_physical_devices()]
    name = key(kind="precision", cpu=_cpu(), devices=devices, tensorflow=tf.__version__)
    held = cache.get([name]).get(name, b"").decode(errors="replace")
    if held in ("float32", "bfloat16"):
        return held
    chosen = "bfloat16" if _speed_ratio() > WORTH_IT else "float32"
    cache.put({name: chosen.encode()})
    return chosen


def _speed_ratio() -> float:
    """Return how many times faster a convolution in bfloat16 is than in float32, best of three each, in turn."""
    import tensorflow as tf

    run = tf.function(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), autograph=False)
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    operands = {
        precision: (tf.ones((4, 28, 28, 256), precision), tf.ones((3, 3, 256, 256), precision)) for precision in seconds
    }
    for precision in seconds:
        run(*operands[precision]).numpy()
    for _ in range(3):
        for precision, taken in seconds.items():
            start = time.perf_counter()
            run(*operands[precision]).numpy()
            taken.append(time.perf_counter() - start)
    return min(seconds["float32"]) / min(seconds["bfloat16"])


def _cpu() -> str:
    """Return what identifies a kind of processor: the instructions it has, where the kernel lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


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


Forward = Callable[[np.ndarray, np.ndarray], tuple["tf.Tensor", "tf.Tensor", "tf.Tensor"]]


def compile_forward(weights: Weights, precision: str) -> Forward:
    """Return a compiled function from pixels to pooled features, lung masks, and the last convolution's maps.

    Parameters
    ----------
    weights, precision
        As `pooled_maps` takes them.

    Returns
    -------
    callable
        From pixels (n, 224, 224, 3) in [0, 1] and pooled regions (n, 224, 224), int8, 1 inside, 0 outside, -1 for the
        lungs that are found, to features (n, 3328), float32, lung masks (n, 224, 224), bool, and maps
        (n, 14, 14, 512), float32. The decoder itself always runs in float32.
    """
    import tensorflow as tf

    maps = pooled_maps(weights, precision)
    lungs = lung_decoder.compiled(lung_decoder.read())

    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32), tf.TensorSpec((None, SIZE, SIZE), tf.int8)]

    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels: tf.Tensor, regions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        blocks, convolved = maps(pixels)
        upper_left = tf.reduce_mean(blocks[-1][:, :UPPER_LEFT, :UPPER_LEFT], (1, 2))
        masks = lungs(blocks)[..., 0] > 0
        inside = tf.where(regions < 0, masks, regions > 0)
        pixel_weights = _pixel_weights(tf.cast(inside, tf.float32)[..., None])
        means = [tf.reduce_mean(x, (1, 2)) for x in blocks]
        inner = [_mean_inside(x, pixel_weights) for x in blocks]
        return tf.concat([upper_left, *means, *inner], axis=1), masks, convolved

    return forward


def _pixel_weights(inside: tf.Tensor) -> tf.Tensor:
    """Return each pixel's weight (n, 224, 224, 1), given a region (n, 224, 224, 1) of 0 and 1; they add up to 1.

    Equal inside the region, and everywhere where it is empty. By the saved model's softmax: both round equally.
    """
    import tensorflow as tf

    weights = tf.nn.softmax(STEEPNESS * tf.reshape(inside, (-1, SIZE * SIZE)), axis=1)
    return tf.reshape(weights, (-1, SIZE, SIZE, 1))


def _mean_inside(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the mean of a map (n, cells, cells, channels), its cells weighted by the pixels that they cover."""
    import tensorflow as tf

    cells, channels = x.shape[1], x.shape[3]
    side = SIZE // cells
    shares = tf.reshape(side**2 * tf.nn.avg_pool2d(weights, side, side, "VALID"), (-1, cells * cells))
    return tf.einsum("nk,nkc->nc", shares, tf.reshape(x, (-1, cells * cells, channels)))
