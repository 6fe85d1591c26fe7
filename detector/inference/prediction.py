"""Predictions for files and folders: listed, shown to people, written for programs."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detector import InputError, printable
from detector.cluster.stream import Cluster
from detector.command_line import DISCLAIMER
from detector.images.listing import list_images as listing_of
from detector.inference import cluster_prediction, predictor
from detector.inference.predictor import Prediction, Question
from detector.network.model import Description
from detector.network.model_file import SavedModel
from detector.storage.files import write_together
from detector.storage.spreadsheet import escaped


def list_images(given: Sequence[Path], left_out: Counter[str] | None = None) -> list[Path]:
    """Return the files to predict: those given, and those below the folders given, each once.

    What lies in the folders and is no image is counted in `left_out`, by reason.

    Raises
    ------
    InputError
        If a folder holds no image.
    """
    paths: list[Path] = []
    for path in given:
        if not path.is_dir():
            paths.append(path)
            continue
        listing = listing_of(path)
        if not listing.images:
            raise InputError(f"{path} holds no images{f' ({listing.note})' if listing.note else ''}")
        paths += listing.images
        if left_out is not None:
            left_out += listing.left_out
    return list(dict.fromkeys(paths))


def predict_all(
    saved: SavedModel,
    paths: Sequence[Path],
    values: Mapping[str, Mapping[str, str]],
    failures: list[InputError],
    overlays: Path | None,
    pictured: int = 0,
    cluster: Cluster | None = None,
) -> Iterator[Prediction]:
    """Yield the prediction of each image that can be read, in order; the others' errors go to `failures`.

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
    cluster : Cluster, optional
        Reads and predicts; by default that is done here.
    """
    questions = [
        Question(path, values.get(path.name, {}), position < pictured, overlays is not None)
        for position, path in enumerate(paths)
    ]
    names = overlay_names(paths) if overlays is not None else []
    answers = (
        predictor.predict(saved, questions)
        if cluster is None
        else cluster_prediction.on_cluster(cluster, saved, questions)
    )
    for position, answer in enumerate(answers):
        if isinstance(answer, InputError):
            failures.append(answer)
            continue
        if overlays is not None:
            write_together({overlays / names[position]: answer.overlay})
        yield replace(answer, overlay=b"")


def overlay_names(paths: Sequence[Path]) -> list[str]:
    """Return the overlays' file names: each image's, and its folder's where another image has the same name."""
    counts = Counter(path.name for path in paths)
    found = []
    for path in paths:
        folder = (
            "-".join(part for part in path.parent.parts if part not in ("/", "..")) if counts[path.name] > 1 else ""
        )
        found.append(f"{folder}-{path.name}.gradcam.png" if folder else f"{path.name}.gradcam.png")
    return found


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
