"""Predictions for files and folders: computed in batches, shown to people, written for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, printable
from detector.command_line import DISCLAIMER
from detector.images.lungs import describe
from detector.images.radiographs import Radiograph, find, read
from detector.network import runtime
from detector.network.gradcam import Maps
from detector.network.lung_decoder import MASK
from detector.network.model import Description, join
from detector.network.model_file import SavedModel
from detector.results.page import film_uri, heat_uri
from detector.statistics.evaluation import predict
from detector.storage.files import write_together
from detector.storage.spreadsheet import escaped

BATCH = 8


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image; `probabilities` are in the order of the model's classes.

    `note` is what a user should know of how it is shown; mostly empty. `film` and `heat` are what a page shows of it,
    addresses that hold images; empty where there is no page.
    """

    path: Path
    label: str
    probabilities: list[float]
    note: str = ""
    film: str = ""
    heat: str = ""


def list_images(given: Sequence[Path]) -> list[Path]:
    """Return the files to predict: those given, and those below the folders given, each once.

    Raises
    ------
    InputError
        If a folder holds no image.
    """
    paths: list[Path] = []
    for path in given:
        found = find(path) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path} holds no images")
        paths += found
    return list(dict.fromkeys(paths))


def predict_all(
    saved: SavedModel,
    paths: Sequence[Path],
    values: Mapping[str, Mapping[str, str]],
    failures: list[InputError],
    overlays: Path | None,
    pictured: int = 0,
) -> Iterator[Prediction]:
    """Yield the prediction of each image that can be read; the others' errors go to `failures`.

    Parameters
    ----------
    saved : SavedModel
    paths : sequence of Path
    values : mapping
        Clinical values by file name.
    failures : list
        Appended to.
    overlays : Path or None
        Folder for an image each of where the model looked.
    pictured : int, default=0
        How many of the first images get what a page shows of them.
    """
    from detector.datasets import clinical

    description = saved.description
    runtime.ready()
    model = saved.joined()
    run = _compiled(model, saved)
    maps, seen = _looking(model, saved) if overlays is not None or pictured else (None, 0.0)
    positive = description.classes.index(description.positive)
    for start in range(0, len(paths), BATCH):
        batch = list(_readable(paths[start : start + BATCH], failures))
        if not batch:
            continue
        pixels = np.stack([radiograph.pixels for _, radiograph in batch]).astype(np.float32) / 255.0
        extra = clinical.encode(description.clinical, [values.get(path.name, {}) for path, _ in batch])
        inputs = [pixels, extra] if description.clinical else [pixels]
        said, lungs = (found.numpy() for found in run(inputs))
        inputs[0] = pixels * lungs
        chosen = predict(said, positive, description.threshold)
        wanted = maps is not None and (overlays is not None or start < pictured)
        heats = maps(inputs, chosen) if wanted else [None] * len(batch)
        answers = zip(batch, said, chosen, heats, lungs, inputs[0], strict=True)
        for (path, radiograph), row, index, heat, mask, shown in answers:
            if saved.decoder is not None and not (found := describe(mask[..., 0] > 0)).found:
                failures.append(InputError(f"{path}: {found.warning}, and this model looks at nothing else"))
                continue
            one = Prediction(path, description.classes[index], row.astype(float).tolist(), radiograph.note)
            if start < pictured:
                one = replace(one, film=film_uri(np.rint(255 * shown).astype(np.uint8)), heat=heat_uri(heat))
            if overlays is not None:
                from detector.results.plots import overlay

                title = f"{one.label}, probability {row[index]:.3f}"
                target = overlays / overlay_name(path, paths)
                write_together({target: overlay(radiograph.pixels, heat, seen, title)})
            yield one


def _looking(model: object, saved: SavedModel) -> tuple[Maps, float]:
    """Return what makes heat maps, and the share of width and height that the head's pooling sees."""
    from detector.network.gradcam import CELLS, heat_maps, seen_cells

    if saved.decoder is not None:
        # Of a model that looks at lungs only: what it does with what it is shown.
        model = join(saved.weights, saved.head, saved.description.pool)
    return heat_maps(model), seen_cells(model) / CELLS


def _compiled(model: object, saved: SavedModel) -> Callable[[Sequence[np.ndarray]], tuple[object, object]]:
    """Return a function from a model's inputs to probabilities and to where it looks, (n, 224, 224, 1), 1 or 0."""
    import keras
    import tensorflow as tf

    lungs = keras.ops.ones_like(model.inputs[0][..., :1]) if saved.decoder is None else model.get_layer(MASK).output
    both = keras.Model(model.inputs, [model.output, lungs])
    return tf.function(lambda inputs: both(inputs, training=False), reduce_retracing=True, autograph=False)


def _readable(paths: Sequence[Path], failures: list[InputError]) -> Iterator[tuple[Path, Radiograph]]:
    for path in paths:
        try:
            yield path, read(path)
        except InputError as error:
            failures.append(error)


def overlay_name(path: Path, paths: Sequence[Path]) -> str:
    """Return the overlay's file name: the image's, and its folder's where another image has the same name."""
    same = sum(other.name == path.name for other in paths) > 1
    folder = "-".join(part for part in path.parent.parts if part not in ("/", "..")) if same else ""
    return f"{folder}-{path.name}.gradcam.png" if folder else f"{path.name}.gradcam.png"


def table(predictions: Sequence[Prediction], classes: Sequence[str]) -> list[str]:
    """Return the predictions as lines for people."""
    if not predictions:
        return []
    names = [printable(one.path) for one in predictions]
    wide = max(4, *(len(name) for name in names))
    classes = [printable(name) for name in classes]
    labels = max(5, *map(len, classes))
    heading = f"{'file':<{wide}}  {'class':<{labels}}  " + "  ".join(f"p({name})" for name in classes)
    rows = [
        f"{name:<{wide}}  {printable(one.label):<{labels}}  "
        + "  ".join(f"{value:>{len(label) + 3}.4f}" for value, label in zip(one.probabilities, classes, strict=True))
        for name, one in zip(names, predictions, strict=True)
    ]
    return [heading, *rows]


def write(
    predictions: Sequence[Prediction],
    failures: Sequence[InputError],
    description: Description,
    csv_path: Path | None,
    json_path: Path | None,
    page: dict[Path, bytes],
) -> None:
    """Write the predictions for programs, and a page: whole or not at all."""
    contents = dict(page)
    if csv_path:
        contents[csv_path] = _as_csv(predictions, description).encode()
    if json_path:
        record = {
            "notice": DISCLAIMER,
            "classes": description.classes,
            "threshold": description.threshold,
            "predictions": [
                {
                    "file": printable(one.path),
                    "class": one.label,
                    "probabilities": dict(zip(description.classes, one.probabilities, strict=True)),
                }
                for one in predictions
            ],
            "failures": [printable(failure) for failure in failures],
        }
        contents[json_path] = (json.dumps(record, indent=1) + "\n").encode()
    write_together(contents)


def _as_csv(predictions: Sequence[Prediction], description: Description) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", "class", *(f"p({printable(name)})" for name in description.classes)])
    for one in predictions:
        writer.writerow([*map(escaped, (printable(one.path), printable(one.label))), *map(repr, one.probabilities)])
    return text.getvalue()
