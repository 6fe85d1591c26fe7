"""Features on many machines: actors that keep VGG16 loaded make the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from detector import InputError
from detector.cluster.connection import Cluster, on_node
from detector.files.cache import Cache
from detector.images.inspect import ImageProperties, inspect_file
from detector.images.lungs import packed
from detector.images.masks import NetworkInput
from detector.images.read import read
from detector.network.backbone import Weights
from detector.network.features import Backbone

Shown = tuple[np.ndarray, np.ndarray | None]  # what the base sees of an image, and what features are pooled over


def properties(cluster: Cluster, paths: Sequence[Path]) -> Iterator[tuple[int, ImageProperties | InputError]]:
    """Yield the position of each image file with its properties, or why it cannot be used, as nodes read them."""
    for found in cluster.read([((i,), path.absolute()) for i, path in enumerate(paths)], read_properties):
        yield from found


def read_properties(path: Path) -> list[ImageProperties | InputError]:
    """Return the properties of an image file, or why it cannot be used."""
    try:
        return [inspect_file(path)[0]]
    except InputError as error:
        return [on_node(error)]


def compute(
    cluster: Cluster, weights: Weights, inputs: Sequence[NetworkInput]
) -> Iterator[tuple[list[int], np.ndarray, list[bytes]]]:
    """Yield positions among the inputs, their features, (n, `WIDTH`), float32, and packed masks."""
    items = []
    for _, turned in groupby(enumerate(inputs), lambda pair: (pair[1].path, pair[1].occlusion)):
        positions, views = zip(*turned, strict=True)
        items.append((positions, [replace(one, path=one.path.absolute()) for one in views]))
    for found in cluster.compute(items, read_views, features_of, weights):
        features, masks = zip(*(value for _, value in found), strict=True)
        yield [position for position, _ in found], np.stack(features), list(masks)


def read_views(views: Sequence[NetworkInput]) -> list[Shown]:
    """Read a file once for all its copies."""
    radiograph = read(views[0].path)
    if radiograph.digest != views[0].digest:
        raise InputError(f"{views[0].path} is not the file that was read before")
    return [(one.shown(radiograph.pixels), one.region()) for one in views]


def features_of(weights: Weights) -> Callable[[list[Shown]], list[tuple[np.ndarray, bytes]]]:
    """Return a function from images to their features and packed lung masks."""
    base = Backbone(weights, Cache(None))

    def compute(images: list[Shown]) -> list[tuple[np.ndarray, bytes]]:
        pixels, regions = zip(*images, strict=True)
        features, lungs = base.forward(np.stack(pixels), regions)
        return [(row, packed(mask)) for row, mask in zip(features, lungs, strict=True)]

    return compute
