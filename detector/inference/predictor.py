"""A saved model made ready to answer: radiographs → predictions with pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detector import InputError
from detector.datasets import clinical
from detector.images.lungs import describe
from detector.images.radiographs import read
from detector.network import runtime
from detector.network.gradcam import Maps
from detector.network.lung_decoder import MASK
from detector.network.model import join
from detector.network.model_file import SavedModel
from detector.reports.html_report import film_uri, heat_uri
from detector.statistics.evaluation import predict as classes_of

BATCH = 8


@dataclass(frozen=True)
class Question:
    """An image file, its clinical values, whether a page shows it and whether an overlay is drawn of it."""

    path: Path
    values: Mapping[str, str]
    pictured: bool
    overlaid: bool


class Film(NamedTuple):
    """What a model is shown of an image file, (224, 224, 3), uint8, and what a user should know of it."""

    pixels: np.ndarray
    note: str


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image; `probabilities` are in the order of the model's classes.

    `note` is what a user should know of how it is shown; mostly empty. `film` and `heat` are what a page shows of it,
    addresses that hold images; empty where there is no page. `overlay` is a PNG of where the model looked, or empty.
    """

    path: Path
    label: str
    probabilities: list[float]
    note: str = ""
    film: str = ""
    heat: str = ""
    overlay: bytes = b""


class Predictor:
    """A saved model, compiled.

    Parameters
    ----------
    saved : SavedModel
    pictures : bool
        Whether it will be asked where it looks.
    """

    def __init__(self, saved: SavedModel, pictures: bool) -> None:
        runtime.ready()
        self.saved = saved
        model = saved.joined()
        self._run = _compiled(model, saved)
        self._maps, self._seen = _looking(model, saved) if pictures else (None, 0.0)

    def __call__(self, questions: Sequence[Question], films: Sequence[Film]) -> list[Prediction | InputError]:
        """Return what the model says of a batch of films, or why it says nothing."""
        description = self.saved.description
        pixels = np.stack([film.pixels for film in films]).astype(np.float32) / 255.0
        extra = clinical.encode(description.clinical, [one.values for one in questions])
        inputs = [pixels, extra] if description.clinical else [pixels]
        said, lungs = (found.numpy() for found in self._run(inputs))
        if description.input == "lungs":
            inputs[0] = pixels * lungs
        chosen = classes_of(said, description.classes.index(description.positive), description.threshold)
        wanted = any(one.pictured or one.overlaid for one in questions)
        heats = self._maps(inputs, chosen) if wanted else [None] * len(films)
        found: list[Prediction | InputError] = []
        for one, film, row, index, heat, mask, shown in zip(
            questions, films, said, chosen, heats, lungs, inputs[0], strict=True
        ):
            if self.saved.decoder is not None and not (seen := describe(mask[..., 0] > 0)).found:
                found.append(InputError(f"{one.path}: {seen.warning}; this model uses only the lung region"))
                continue
            answer = Prediction(one.path, description.classes[index], row.astype(float).tolist(), film.note)
            if one.pictured:
                answer = replace(answer, film=film_uri(np.rint(255 * shown).astype(np.uint8)), heat=heat_uri(heat))
            if one.overlaid:
                from detector.reports.plots import overlay

                title = f"{answer.label}, probability {row[index]:.3f}"
                answer = replace(answer, overlay=overlay(film.pixels, heat, self._seen, title))
            found.append(answer)
        return found


def predict(saved: SavedModel, questions: Sequence[Question]) -> Iterator[Prediction | InputError]:
    """Yield the answer to each question, in order: a prediction, or why there is none."""
    predictor = Predictor(saved, any(one.pictured or one.overlaid for one in questions))
    for start in range(0, len(questions), BATCH):
        batch = questions[start : start + BATCH]
        films = [_read(one.path) for one in batch]
        yield from answered(predictor, batch, films)


def _read(path: Path) -> Film | InputError:
    try:
        radiograph = read(path)
        return Film(radiograph.pixels, radiograph.note)
    except InputError as error:
        return error


def answered(
    predictor: Predictor, batch: Sequence[Question], films: Sequence[Film | InputError]
) -> list[Prediction | InputError]:
    """Return the answers to a batch of questions, of which some films could not be read."""
    whole = [(one, film) for one, film in zip(batch, films, strict=True) if isinstance(film, Film)]
    answers = iter(predictor(*zip(*whole, strict=True)) if whole else ())
    return [next(answers) if isinstance(film, Film) else film for film in films]


def _looking(model: object, saved: SavedModel) -> tuple[Maps, float]:
    """Return what makes heat maps, and the share of width and height that the head's pooling sees."""
    from detector.network.gradcam import CELLS, heat_maps, seen_cells

    if saved.description.input == "lungs":
        # Of a model that looks at lungs only: what it does with what it is shown.
        model = join(saved.weights, saved.head, replace(saved.description, input="image"))
    return heat_maps(model), seen_cells(model) / CELLS


def _compiled(model: object, saved: SavedModel) -> Callable[[Sequence[np.ndarray]], tuple[object, object]]:
    """Return a function from a model's inputs to probabilities and to where it looks, (n, 224, 224, 1), 1 or 0."""
    import keras
    import tensorflow as tf

    lungs = keras.ops.ones_like(model.inputs[0][..., :1]) if saved.decoder is None else model.get_layer(MASK).output
    both = keras.Model(model.inputs, [model.output, lungs])
    return tf.function(lambda inputs: both(inputs, training=False), reduce_retracing=True, autograph=False)
