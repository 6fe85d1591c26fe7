"""Features on many machines: the forward pass is made by actors that keep VGG16 loaded, and read what they compute."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.cluster.stream import Cluster, Row, node, shared
from detector.files.cache import Cache
from detector.images.inspect import ImageProperties, as_text, inspect_file
from detector.images.lungs import packed
from detector.images.masks import NetworkInput
from detector.images.read import SIZE, read
from detector.network import runtime
from detector.network.backbone import DIGEST, Weights, digest
from detector.network.features import BATCH, Backbone

if TYPE_CHECKING:
    import ray


def properties(cluster: Cluster, paths: Sequence[Path]) -> Iterator[tuple[int, ImageProperties | InputError]]:
    """Yield the position of each image file with its properties, or why it cannot be used, as nodes read them."""
    items = [{"index": i, "path": str(path.absolute())} for i, path in enumerate(paths)]
    for rows in cluster.flat_map(items, _properties_rows):
        for row in rows:
            yield (
                int(row["index"]),
                InputError(row["error"]) if row["error"] else ImageProperties(**json.loads(row["properties"])),
            )


def _properties_rows(row: Row) -> list[Row]:
    found, error = "", ""
    try:
        found = as_text(inspect_file(Path(row["path"]))[0])
    except InputError as reason:
        error = f"{reason} (on {node()})"
    return [{"index": row["index"], "properties": found, "error": error}]


def compute(
    cluster: Cluster, weights: Weights, inputs: Sequence[NetworkInput]
) -> Iterator[tuple[list[int], np.ndarray, list[bytes]]]:
    """Compute features on a cluster.

    Parameters
    ----------
    cluster : Cluster
    weights : dict of str to (kernel, bias)
    inputs : sequence of NetworkInput

    Yields
    ------
    positions : list of int
        Among the inputs.
    features : ndarray of shape (n, `WIDTH`), float32
    masks : list of bytes
        Packed ones.

    Raises
    ------
    InputError
        If a node cannot read a file, or cannot do what is asked; it names the node.
    """
    items = []
    for _, turned in groupby(enumerate(inputs), lambda pair: (pair[1].path, pair[1].occlusion)):
        copies = list(turned)
        first = asdict(copies[0][1]) | {"path": str(copies[0][1].path.absolute())}
        items.append(first | {"indices": [i for i, _ in copies], "angles": [one.angle for _, one in copies]})
    arguments = shared(weights), max(1, int(cluster.cpus))
    for rows in cluster.map_batches(items, _pixel_rows, FeatureWorker, arguments):
        wrong = next((row["error"] for row in rows if row["error"]), None)
        if wrong:
            raise InputError(str(wrong))
        features = np.stack([np.frombuffer(row["features"], "<f4") for row in rows])
        yield [int(row["index"]) for row in rows], features, [bytes(row["mask"]) for row in rows]


def _pixel_rows(item: Row) -> list[Row]:
    """Read a file once for all its copies."""
    path, indices = Path(item["path"]), list(item["indices"])
    nothing = np.zeros((SIZE, SIZE, 3), np.uint8)
    try:
        radiograph = read(path)
        if radiograph.digest != item["digest"]:
            raise InputError(f"{path} is not the file that was read before")
    except InputError as error:
        return [
            {
                "index": index,
                "pixels": nothing,
                "region": nothing[..., 0].view(np.int8),
                "error": f"{error} (on {node()})",
            }
            for index in indices[:1]
        ]
    one = {name: item[name] for name in ("digest", "occlusion", "part", "mask")}
    views = [NetworkInput(path, angle=float(angle), **one) for angle in item["angles"]]
    return [
        {
            "index": index,
            "pixels": view.shown(radiograph.pixels),
            "region": np.full((SIZE, SIZE), -1, np.int8)
            if (region := view.region()) is None
            else region.astype(np.int8),
            "error": "",
        }
        for index, view in zip(indices, views, strict=True)
    ]


class FeatureWorker:
    """Keeps VGG16 loaded in a process of its own.

    Parameters
    ----------
    weights : ray.ObjectRef
        Stands for the weights in Ray's object store.
    threads : int
        Cores that this process has.
    """

    def __init__(self, weights: ray.ObjectRef, threads: int) -> None:
        runtime.limit_cores(threads)
        self.shared = weights
        self.backbone: Backbone | None = None

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the features of some rows of pixels, or one sentence that says why there are none."""
        count = len(block["index"])
        errors = [str(text) for text in block["error"]]
        features, masks = [], []
        try:
            for start in [] if any(errors) else range(0, count, BATCH):
                pixels = np.stack(list(block["pixels"][start : start + BATCH]))
                regions = [None if one.min() < 0 else one for one in block["region"][start : start + BATCH]]
                found, lungs = self._base().forward(pixels, regions)
                features += [row.astype("<f4").tobytes() for row in found]
                masks += [packed(mask) for mask in lungs]
        # A node can lack a package, or memory: whatever it is, it has a name and a place.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            errors = [f"{node()} cannot compute features: {reason}"] * count
        if any(errors):
            features = masks = [b""] * count
        columns = {"index": block["index"], "features": features, "mask": masks, "error": errors}
        return {name: np.array(values, dtype=None if name == "index" else object) for name, values in columns.items()}

    def _base(self) -> Backbone:
        if self.backbone is None:
            import ray

            weights = ray.get(self.shared)
            if digest(weights) != DIGEST:
                raise InputError("VGG16's weights arrived damaged")
            self.backbone = Backbone(weights, Cache(None))
        return self.backbone
