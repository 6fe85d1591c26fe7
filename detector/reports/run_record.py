"""What a run prints and keeps of its results."""

from __future__ import annotations

import functools
import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from detector import counted, printable
from detector.cli.output import DISCLAIMER, Log
from detector.datasets.dataset import Image, Rows
from detector.files.atomic import write_together
from detector.files.values import years
from detector.network.backbone import DIGEST, NAME
from detector.reports import html
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor

SCHEMA = 1  # of the JSON records
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "pillow", "matplotlib")
BASE = {"network": NAME, "sha256": DIGEST}  # what identifies the network that computed the features


def lines(result: Evaluation, labels: np.ndarray, predicted: np.ndarray) -> list[str]:
    """Return scikit-learn's report, the confusion matrix, and the tutorial's lines of an evaluation."""
    from sklearn.metrics import classification_report

    names = [printable(name) for name in result.classes]
    text = classification_report(labels, predicted, labels=range(len(names)), target_names=names, zero_division=0)
    return [
        *text.rstrip().splitlines(),
        f"confusion matrix (rows: true {', '.join(names)}; columns: predicted, same order)",
        *str(result.confusion).splitlines(),
        f"acc: {_tutorial(result.accuracy)}",
        f"sensitivity: {_tutorial(result.sensitivity)}",
        f"specificity: {_tutorial(result.specificity)}",
    ]


def _tutorial(metric: Metric) -> str:
    """Return a metric as the tutorial prints it, with four decimals, and its interval with two, as everywhere."""
    if not metric.available:
        return "not estimable"
    images = metric.n_positive + metric.n_negative
    of = f"{counted(images, 'image')} of {counted(metric.n_patients, 'patient')}"
    return f"{metric.value:.4f} (95 % CI {metric.interval_text}, {of})"


def operating_point(wanted: float | None, evaluated: EvaluatedHead) -> list[str]:
    """Say which threshold was used, where it is not that of the likeliest class, and whose metrics are printed."""
    threshold, chosen = evaluated.threshold, evaluated.thresholds
    if threshold is None:
        return []
    if not wanted:
        return [f"threshold: {threshold:.4f} (as given)"]
    if not chosen:
        return [f"threshold: {threshold:.4f} (chosen on training patients alone, to reach sensitivity {wanted})"]
    return [
        f"thresholds: {min(chosen):.4f}-{max(chosen):.4f} (one of each fold, chosen on its training patients alone, to "
        f"reach sensitivity {wanted}): sensitivity and specificity above are theirs",
        f"saved threshold: {threshold:.4f} (chosen on the out-of-fold predictions of all images; its own sensitivity "
        "is not estimated)",
    ]


def characteristics(images: Sequence[Image], sides: Mapping[str, Rows]) -> list[list[str]]:
    """Return the table of participants that TRIPOD+AI asks for (item 20b), a row for each property below a heading.

    A column is a class of one of the `sides`, which are images by the side's name.
    """
    columns = {
        f"{side}: {label}": [images[row] for row in rows if images[row].label == label]
        for side, rows in sides.items()
        for label in dict.fromkeys(image.label for image in images)
    }
    properties: dict[str, Callable[[list[Image]], str]] = {
        "images": lambda chosen: str(len(chosen)),
        "patients (known)": lambda chosen: str(len({image.patient for image in chosen if image.patient})),
        "age, median (range)": _ages,
        "sex": lambda chosen: _shares([image.row.get("sex", "") for image in chosen]),
        "view": lambda chosen: _shares([image.view for image in chosen]),
        "site": lambda chosen: _shares([image.site for image in chosen]),
    }
    found = [[name, *(cell(chosen) for chosen in columns.values())] for name, cell in properties.items()]
    return [["", *columns], *found]


def _ages(images: Sequence[Image]) -> str:
    known = [age for image in images if (age := years(image.row.get("age", ""))) is not None]
    found = f"{np.median(known):.0f} ({min(known):.0f}–{max(known):.0f}), " if known else ""
    return f"{found}missing {len(images) - len(known)}"


def _shares(values: Sequence[str]) -> str:
    counts = Counter(values)
    known = [f"{name} {number}" for name, number in counts.most_common() if name]
    shown = known[:4] + ([f"{len(known) - 4} more"] if len(known) > 4 else [])
    return ", ".join([*shown, *([f"missing {counts['']}"] if counts[""] else [])])


def header() -> dict[str, object]:
    """Return what stands at the top of a record: the version of its layout, and when, how and by what it was made."""
    return {
        "schema_version": SCHEMA,
        "created": html.created(),
        "command": html.command(),
        "notice": DISCLAIMER,
        "versions": versions(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the numbers."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def images(extractor: FeatureExtractor, rows: Rows) -> list[dict[str, str]]:
    """Return what identifies each image of `rows`."""
    return [
        {
            "file": extractor.dataset.images[row].file,
            "sha256": extractor.properties[row].digest,
            "label": extractor.dataset.images[row].label,
            "patient": str(extractor.patients[row]),
            "source": extractor.dataset.images[row].source,
            "site": extractor.dataset.images[row].site,
            "view": extractor.dataset.images[row].view,
        }
        for row in rows
    ]


def predictions(extractor: FeatureExtractor, evaluated: EvaluatedHead) -> list[dict[str, object]]:
    """Return each test image with its predicted probabilities, and the fold that held it out, from 0 (first repeat).

    Without a cross-validation the fold is None.
    """
    classes, folds = evaluated.evaluation.classes, evaluated.predictions.folds[0].tolist()
    crossed = len(set(folds)) > 1
    return [
        record | {"probabilities": dict(zip(classes, row, strict=True)), "fold": fold if crossed else None}
        for record, row, fold in zip(
            images(extractor, evaluated.held_out),
            evaluated.predictions.probabilities[0].astype(float).tolist(),
            folds,
            strict=True,
        )
    ]


def save(contents: Mapping[Path, bytes], log: Log) -> None:
    """Write files, all of them or none; say which."""
    write_together(contents)
    log.info(f"wrote {', '.join(map(str, contents))}")


def by_fold(evaluated: EvaluatedHead) -> dict[str, dict[str, object]]:
    """Return mean, standard deviation and values over the folds of all repeats, as papers give them.

    Empty for a single model. Folds differ less than samples of patients do: this is no confidence interval.
    """
    predictions, result = evaluated.predictions, evaluated.evaluation
    positive = result.classes.index(result.positive)
    values: dict[str, list[float]] = {name: [] for name in result.metrics()}
    for repeat, assigned in enumerate(predictions.folds):
        for fold in np.unique(assigned):
            rows = assigned == fold
            truth, said = predictions.labels[rows], predictions.predicted[repeat, rows]
            scores, own = predictions.probabilities[repeat, rows, positive], truth == positive
            right = {
                "accuracy": said == truth,
                "sensitivity": said[own] == positive,
                "specificity": said[~own] != positive,
                "roc_auc": (np.sign(scores[own][:, None] - scores[~own]) + 1) / 2,
            }
            for name, one in right.items():
                values[name].append(float(one.mean()) if one.size else float("nan"))
    found: dict[str, dict[str, object]] = {}
    for name, each in values.items():
        known = np.array(each)[np.isfinite(each)]
        if len(known) > 1:
            found[name] = {"mean": float(known.mean()), "sd": float(known.std(ddof=1)), "values": each}
    return found


def as_json(report: Mapping[str, object]) -> bytes:
    """Return a report as a JSON file's bytes; floats at full precision, not-a-number as null."""
    text = json.dumps(_plain(report), indent=1, allow_nan=False, ensure_ascii=False)
    # A file name that is no text on this system keeps its bytes as escapes.
    return f"{text}\n".encode(errors="backslashreplace")


def _plain(value: object) -> object:
    if hasattr(value, "as_json"):
        return _plain(value.as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
