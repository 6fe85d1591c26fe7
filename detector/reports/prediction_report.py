"""The HTML report of predictions: skipped files, a histogram, and every image by its probability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timezone

import numpy as np

from detector import InputError, counted
from detector.images.raster import BETWEEN_NOTES, joined
from detector.inference.predict import Prediction
from detector.network.model_file import Description, TrainingSummary
from detector.reports import html_report
from detector.reports.intervals import en_dash

BINS = 20  # of the histogram
INPUT = {"lungs": "the lungs only (all else is masked out)", "image": "the whole image"}


def prediction_report(
    predictions: Sequence[Prediction],
    failures: Sequence[InputError],
    description: Description,
    model: str,
    note: str = "",
) -> bytes:
    """Return the report.

    Parameters
    ----------
    predictions : sequence of Prediction
    failures : sequence of InputError
        Why files were skipped.
    description : Description
    model : str
        Name of the model's file.
    note : str
        What was assumed of a model without a description.
    """
    classes = description.classes
    positive = classes.index(description.positive)
    ordered = sorted(predictions, key=lambda one: -one.probabilities[positive])
    common = common_notes([one.note for one in predictions])
    on_all = {note for note, number in common if number == len(predictions)}
    cards = [_card(one, classes, positive, on_all) for one in ordered if one.image is not None]
    counts = ", ".join(f"{sum(one.label == name for one in predictions)} predicted {name}" for name in classes)
    title = f"Predictions: {counted(len(predictions), 'image')}"
    return html_report.render(
        "prediction.html.j2",
        f"{title} ({counts})" if predictions else title,
        total=counted(len(predictions), "image"),
        left_out=counted(len(predictions) - len(cards), "more image") if len(predictions) > len(cards) else "",
        bars=histogram([one.probabilities[positive] for one in predictions]),
        threshold=html_report.shown_threshold(description.threshold, classes),
        common=[f"{number} of {counted(len(predictions), 'image')}: {text}" for text, number in common],
        cards=cards,
        classes=classes,
        positive=description.positive,
        skipped=counted(len(failures), "file"),
        evaluation=evaluation(description.summary),
        failures=[str(failure) for failure in failures],
        card=[*model_card(description, model), *([("note", note)] if note else [])],
    )


def common_notes(notes: Sequence[str]) -> list[tuple[str, int]]:
    """Return the notes that several images share, each with their number, most frequent first.

    Parameters
    ----------
    notes : sequence of str
        One string an image, which may hold several notes (`joined`).
    """
    counts = Counter(part for note in notes for part in set(note.split(BETWEEN_NOTES)) if part)
    return [(text, number) for text, number in sorted(counts.items(), key=lambda one: (-one[1], one[0])) if number > 1]


def _card(one: Prediction, classes: Sequence[str], positive: int, said: Collection[str]) -> dict[str, object]:
    """Return what the report shows of an image, without the notes that it says once of all images."""
    return {
        "file": str(one.path),
        "name": one.path.name,
        "predicted": one.label,
        "label_index": classes.index(one.label),
        "probability": one.probabilities[positive],
        "probabilities": list(zip(classes, one.probabilities, strict=True)),
        "image": html_report.image_uri(one.image) if one.image is not None else "",
        "height": html_report.shown_height(one.aspect),
        "heat": html_report.heat_uri(one.grad_cam) if one.grad_cam is not None else "",
        "note": joined(*(part for part in one.note.split(BETWEEN_NOTES) if part not in said)),
    }


def histogram(probabilities: Sequence[float]) -> list[dict[str, float]]:
    """Return the bars of a histogram of probabilities: where each begins, its count, and its height, 0…1."""
    counts, edges = np.histogram(np.asarray(probabilities, float), BINS, (0.0, 1.0))
    most = max(1, int(counts.max()))
    return [
        {"start": float(start), "count": int(count), "height": count / most}
        for start, count in zip(edges[:-1], counts, strict=True)
    ]


def model_card(description: Description, model: str) -> list[tuple[str, object]]:
    """Return what the model's file says of it."""
    threshold = html_report.shown_threshold(description.threshold, description.classes)
    clinical = ", ".join(str(column["name"]) for column in description.clinical)
    return [
        ("model", model),
        ("classes", ", ".join(description.classes)),
        ("positive class", description.positive),
        ("recipe", description.recipe),
        ("pooling", description.pooling),
        ("input", INPUT[description.input]),
        ("clinical values", clinical or "none"),
        ("threshold", "the most probable class" if threshold is None else f"p({description.positive}) ≥ {threshold:g}"),
        *training_rows(description.summary),
    ]


def evaluation(summary: TrainingSummary | None) -> str:
    """Return how the model was evaluated, and which checks warned, in a sentence; empty where that is not recorded."""
    if summary is None:
        return ""
    warned = f"checks that warned: {'; '.join(summary.warned)}" if summary.warned else "no check warned"
    return f"Evaluation of the model ({summary.evaluation}): ROC AUC {summary.roc_auc}; {warned}."


def training_rows(summary: TrainingSummary | None) -> list[tuple[str, object]]:
    """Return what the model's file says of its training run."""
    if summary is None:
        return [("training run", "not recorded in this model file, which an earlier version saved")]
    counts = "; ".join(
        f"{one.name}: {counted(one.images, 'image')} from {counted(one.patients, 'patient')}" for one in summary.classes
    )
    return [
        ("trained", minute(summary.created)),
        ("training data", f"{summary.data_set} ({counts})"),
        ("evaluation", summary.evaluation),
        ("ROC AUC", en_dash(summary.roc_auc)),
        ("checks that warned", "; ".join(summary.warned) or "none"),
    ]


def minute(created: str) -> str:
    """Return a time in UTC, to the minute, as the reports show it; what is no time, as it is.

    Parameters
    ----------
    created : str
        In ISO 8601, from a model file, which may hold any text. A time without a zone is one in UTC.
    """
    try:
        found = datetime.fromisoformat(created)
        zoned = found.replace(tzinfo=found.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return created
    return html_report.shown_time(zoned)
