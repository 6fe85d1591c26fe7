"""Predictions on many machines: films are read where they lie, actors keep the model loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from detector import InputError
from detector.cluster.stream import Cluster, Row, node, shared
from detector.images.radiographs import SIZE, read
from detector.inference.predictor import BATCH, Film, Prediction, Predictor, Question, answered
from detector.network import runtime
from detector.network.model_file import SavedModel
from detector.network.weights import digest


def on_cluster(cluster: Cluster, saved: SavedModel, questions: Sequence[Question]) -> Iterator[Prediction | InputError]:
    """Yield the answer to each question, in order, computed by actors that keep the model loaded.

    Raises
    ------
    InputError
        If a node cannot compute; it is named.
    """
    items = [
        asdict(one) | {"index": i, "path": str(one.path.absolute()), "given": str(one.path)}
        for i, one in enumerate(replace(one, values=json.dumps(dict(one.values))) for one in questions)
    ]
    pictures = any(one.pictured or one.overlaid for one in questions)
    arguments = shared(tuple(saved)), digest(saved.weights), pictures, max(1, int(cluster.cpus))
    ready: dict[int, Prediction | InputError] = {}
    following = 0
    for rows in cluster.map_batches(items, film_rows, PredictionWorker, arguments):
        for row in rows:
            if row["error"]:
                raise InputError(str(row["error"]))
            ready[int(row["index"])] = _answer(row, questions[int(row["index"])].path)
        while following in ready:
            yield ready.pop(following)
            following += 1


def _answer(row: Row, path: Path) -> Prediction | InputError:
    if row["refused"]:
        return InputError(str(row["refused"]))
    texts = (str(row[name]) for name in ("note", "film", "heat"))
    return Prediction(path, str(row["label"]), json.loads(row["probabilities"]), *texts, bytes(row["overlay"]))


def film_rows(item: Row) -> list[Row]:
    """Read a film where it lies."""
    pixels, note, refused = np.zeros((SIZE, SIZE, 3), np.uint8), "", ""
    try:
        film = read(Path(item["path"]))
        pixels, note = film.pixels, film.note
    except InputError as error:
        refused = f"{str(error).replace(str(item['path']), str(item['given']))} (on {node()})"
    kept = {name: item[name] for name in ("index", "given", "values", "pictured", "overlaid")}
    return [kept | {"pixels": pixels, "note": note, "refused": refused}]


class PredictionWorker:
    """Keeps a model loaded in a process of its own.

    Parameters
    ----------
    saved : object
        Stands for the model in Ray's object store.
    expected : str
        Digest of its base's weights.
    pictures : bool
    threads : int
        Cores that this process has.
    """

    def __init__(self, saved: object, expected: str, pictures: bool, threads: int) -> None:
        runtime.limit_cores(threads)
        self.shared, self.expected, self.pictures = saved, expected, pictures
        self.predictor: Predictor | None = None

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the answers to some questions, or one sentence that says why there are none."""
        rows = [dict(zip(block, values, strict=True)) for values in zip(*block.values(), strict=True)]
        answers: list[Prediction | InputError] = []
        error = ""
        try:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                questions = [
                    Question(
                        Path(row["given"]), json.loads(row["values"]), bool(row["pictured"]), bool(row["overlaid"])
                    )
                    for row in some
                ]
                answers += answered(self._ready(), questions, [_film(row) for row in some])
        # A node can lack a package or memory: whatever it is, it has a name and a place.
        except Exception as reason:
            error = f"{node()} cannot predict: {type(reason).__name__}: {reason}".splitlines()[0][:300]
            answers = [InputError(error)] * len(rows)
        told = [_columns(one) for one in answers]
        found = {name: np.array([row[name] for row in told], object) for name in told[0]}
        return found | {"index": block["index"], "error": np.array([error] * len(rows), object)}

    def _ready(self) -> Predictor:
        if self.predictor is None:
            import ray

            saved = SavedModel(*ray.get(self.shared))
            if digest(saved.weights) != self.expected:
                raise InputError("the model's weights arrived damaged")
            self.predictor = Predictor(saved, self.pictures)
        return self.predictor


def _film(row: Row) -> Film | InputError:
    return InputError(str(row["refused"])) if row["refused"] else Film(np.asarray(row["pixels"]), str(row["note"]))


def _question(row: Row) -> Question:
    return Question(Path(row["given"]), json.loads(row["values"]), bool(row["pictured"]), bool(row["overlaid"]))


def _columns(answer: Prediction | InputError) -> Row:
    """Return an answer as plain values; what a refusal has none of is empty."""
    if isinstance(answer, InputError):
        refused = str(answer)
        answer = Prediction(Path(), "", [])
    else:
        refused = ""
    kept = {name: getattr(answer, name) for name in ("label", "note", "film", "heat", "overlay")}
    return kept | {"probabilities": json.dumps(answer.probabilities), "refused": refused}
