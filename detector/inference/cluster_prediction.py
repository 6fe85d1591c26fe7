"""Predictions on many machines: images are read on their node, actors keep the model loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.cluster.stream import Cluster, Row, node, shared
from detector.images.radiographs import SIZE
from detector.inference.predictor import (
    BATCH,
    InputImage,
    Prediction,
    PredictionRequest,
    Predictor,
    input_image,
    predict_batch,
)
from detector.network import runtime
from detector.network.gradcam import CELLS
from detector.network.model_file import SavedModel
from detector.network.weights import digest

if TYPE_CHECKING:
    import ray


def on_cluster(
    cluster: Cluster, saved: SavedModel, requests: Sequence[PredictionRequest], force: bool = False
) -> Iterator[Prediction | InputError]:
    """Yield the prediction of each image, in order, computed by actors that keep the model loaded.

    Raises
    ------
    InputError
        If a node cannot compute; it is named.
    """
    items = [
        {
            "index": i,
            "path": str(one.path.absolute()),
            "given": str(one.path),
            "values": json.dumps(dict(one.values)),
            "with_images": one.with_images,
        }
        for i, one in enumerate(requests)
    ]
    with_images = any(one.with_images for one in requests)
    arguments = shared(tuple(saved)), digest(saved.weights), with_images, force, max(1, int(cluster.cpus))
    ready: dict[int, Prediction | InputError] = {}
    following = 0
    for rows in cluster.map_batches(items, image_rows, PredictionWorker, arguments):
        for row in rows:
            if row["error"]:
                raise InputError(str(row["error"]))
            ready[int(row["index"])] = _prediction(row, requests[int(row["index"])].path)
        while following in ready:
            yield ready.pop(following)
            following += 1


def _prediction(row: Row, path: Path) -> Prediction | InputError:
    if row["rejected"]:
        return InputError(str(row["rejected"]))
    image = np.frombuffer(row["image"], np.uint8).reshape(SIZE, SIZE, 3) if row["image"] else None
    grad_cam = np.frombuffer(row["grad_cam"], np.float32).reshape(CELLS, CELLS) if row["grad_cam"] else None
    probabilities, sizes = json.loads(row["probabilities"]), (float(row["seen"]), float(row["aspect"]))
    return Prediction(path, str(row["label"]), probabilities, str(row["note"]), image, grad_cam, *sizes)


def image_rows(item: Row) -> list[Row]:
    """Read an image on the node that sees it."""
    image, rejected = InputImage(np.zeros((SIZE, SIZE, 3), np.uint8), "", ""), ""
    try:
        image = input_image(Path(item["path"]))
    except InputError as error:
        rejected = f"{str(error).replace(str(item['path']), str(item['given']))} (on {node()})"
    kept = {name: item[name] for name in ("index", "given", "values", "with_images")}
    return [kept | image._asdict() | {"rejected": rejected}]


class PredictionWorker:
    """Keeps a model loaded in a process of its own.

    Parameters
    ----------
    saved : ray.ObjectRef
        Stands for the model in Ray's object store.
    expected : str
        Digest of its base's weights.
    with_images : bool
    force : bool
    threads : int
        Cores that this process has.
    """

    def __init__(self, saved: ray.ObjectRef, expected: str, with_images: bool, force: bool, threads: int) -> None:
        runtime.limit_cores(threads)
        self.shared, self.expected, self.with_images, self.force = saved, expected, with_images, force
        self.predictor: Predictor | None = None

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the predictions of some images, or one sentence that says why there are none."""
        rows = [dict(zip(block, values, strict=True)) for values in zip(*block.values(), strict=True)]
        predictions: list[Prediction | InputError] = []
        error = ""
        try:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                requests = [_request(row) for row in some]
                predictions += predict_batch(self._ready(), requests, [_image(row) for row in some])
        # A node can lack a package or memory: whatever it is, it has a name and a place.
        except Exception as reason:
            error = f"{node()} cannot predict: {type(reason).__name__}: {reason}".splitlines()[0][:300]
            predictions = [InputError(error)] * len(rows)
        plain = [_columns(one) for one in predictions]
        found = {name: np.array([row[name] for row in plain], object) for name in plain[0]}
        return found | {"index": block["index"], "error": np.array([error] * len(rows), object)}

    def _ready(self) -> Predictor:
        if self.predictor is None:
            import ray

            saved = SavedModel(*ray.get(self.shared))
            if digest(saved.weights) != self.expected:
                raise InputError("the model's weights arrived damaged")
            self.predictor = Predictor(saved, self.with_images, self.force)
        return self.predictor


def _image(row: Row) -> InputImage | InputError:
    if row["rejected"]:
        return InputError(str(row["rejected"]))
    sha256, note, view, modality = (str(row[name]) for name in ("digest", "note", "view", "modality"))
    return InputImage(np.asarray(row["pixels"]), sha256, note, view, modality, float(row["aspect"]))


def _request(row: Row) -> PredictionRequest:
    return PredictionRequest(Path(row["given"]), json.loads(row["values"]), bool(row["with_images"]))


def _columns(prediction: Prediction | InputError) -> Row:
    """Return a prediction as plain values; empty ones for a rejected image."""
    rejected = ""
    if isinstance(prediction, InputError):
        rejected, prediction = str(prediction), Prediction(Path(), "", [])
    arrays = {
        "image": b"" if prediction.image is None else prediction.image.tobytes(),
        "grad_cam": b"" if prediction.grad_cam is None else prediction.grad_cam.astype(np.float32).tobytes(),
    }
    kept = {name: getattr(prediction, name) for name in ("label", "note", "seen", "aspect")}
    return kept | arrays | {"probabilities": json.dumps(prediction.probabilities), "rejected": rejected}
