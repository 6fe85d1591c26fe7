"""What a run prints and keeps of its results."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass

import numpy as np

from detector import printable
from detector.network.weights import DIGEST
from detector.statistics.evaluation import Evaluation
from detector.training.extraction import FeatureExtractor

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "pillow", "matplotlib")


def lines(result: Evaluation, labels: np.ndarray, predicted: np.ndarray) -> list[str]:
    """Return what is printed of an evaluation: scikit-learn's report, the confusion matrix, and the tutorial's lines.

    Parameters
    ----------
    result : Evaluation
    labels, predicted : ndarray of shape (n,), int

    Returns
    -------
    list of str
    """
    from sklearn.metrics import classification_report

    names = [printable(name) for name in result.classes]
    text = classification_report(labels, predicted, labels=range(len(names)), target_names=names, zero_division=0)
    return [
        *text.rstrip().splitlines(),
        f"confusion matrix (rows: true {', '.join(names)}; columns: predicted, in the same order)",
        *str(result.confusion).splitlines(),
        f"acc: {result.acc}",
        f"sensitivity: {result.sensitivity}",
        f"specificity: {result.specificity}",
        f"auc: {result.auc}",
    ]


def operating_point(
    wanted: float | None, threshold: float | None, result: Evaluation, labels: np.ndarray, probabilities: np.ndarray
) -> list[str]:
    """Say which threshold was used and what it costs against taking the likeliest class; nothing where it is that."""
    if threshold is None:
        return []
    index = result.classes.index(result.positive)
    likeliest = probabilities.argmax(axis=1) == index
    truth = labels == index
    chosen = f"chosen without the images it is judged by, to reach sensitivity {wanted}" if wanted else "as given"
    return [
        f"threshold: {threshold:.4f} ({chosen}): sensitivity {result.sensitivity.value:.4f}, specificity "
        f"{result.specificity.value:.4f}; the likeliest class has {likeliest[truth].mean():.4f} and "
        f"{(~likeliest[~truth]).mean():.4f}"
    ]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that have a say in the numbers."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def images(extractor: FeatureExtractor, rows: Sequence[int]) -> list[dict[str, str]]:
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


def predictions(
    extractor: FeatureExtractor, rows: Sequence[int], probabilities: np.ndarray, classes: Sequence[str]
) -> list[dict[str, object]]:
    """Return each image of `rows` with its predicted probabilities."""
    return [
        record | {"probabilities": dict(zip(classes, row, strict=True))}
        for record, row in zip(images(extractor, rows), probabilities.astype(float).tolist(), strict=True)
    ]


def base(extractor: FeatureExtractor) -> dict[str, object]:
    """Return what identifies the network that computed the features."""
    return {"network": "VGG16, ImageNet, no top, frozen", "sha256": DIGEST, "precision": extractor.precision}


def fields_of(result: Evaluation) -> dict[str, object]:
    """Return an evaluation's figures by name."""
    return {field.name: getattr(result, field.name) for field in fields(result)}


def as_json(report: Mapping[str, object]) -> bytes:
    """Return a report as a JSON file's bytes; floats at full precision, not-a-number as null."""
    text = json.dumps(_plain(report), indent=1, allow_nan=False, ensure_ascii=False)
    # A file name that is no text on this system keeps its bytes as escapes.
    return f"{text}\n".encode(errors="backslashreplace")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
