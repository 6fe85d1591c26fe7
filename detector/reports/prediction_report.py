"""Predictions: what is printed, their JSON, CSV and overlays, and their HTML report."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from detector import InputError, counted, printable
from detector.files.atomic import require_folder, require_outputs, write_together
from detector.files.tables import escaped
from detector.images.raster import BETWEEN_NOTES, joined
from detector.inference.predict import Prediction
from detector.network.model_file import Description, TrainingSummary
from detector.reports import html, run_record
from detector.reports.figures import overlay
from detector.reports.text import HOLD, table

CSV, JSON, REPORT = "predictions.csv", "predictions.json", "predictions.html"

BINS = 20  # of the histogram


@dataclass(frozen=True)
class PredictionOutputs:
    """Where predictions are written; None where not.

    Attributes
    ----------
    csv, json, report : Path or None
    gradcam : Path or None
        Folder of the overlays.
    """

    csv: Path | None = None
    json: Path | None = None
    report: Path | None = None
    gradcam: Path | None = None

    def require_writable(self) -> None:
        """Reject outputs that could not be written later.

        Raises
        ------
        InputError
        """
        if self.gradcam:
            require_folder(self.gradcam)
        named = {"--csv": self.csv, "--json": self.json, "--report": self.report}
        require_outputs({flag: path for flag, path in named.items() if path})

    def wants_images(self, position: int) -> bool:
        """Return whether the image and Grad-CAM of the image at a position are wanted."""
        return self.gradcam is not None or (self.report is not None and position < html.MOST)


@dataclass(frozen=True)
class PredictionRun:
    """The predictions of a run and the model that made them.

    Attributes
    ----------
    predictions : list of Prediction
    failures : list of InputError
        Why there is no prediction, for each file that was skipped.
    description : Description
    model : str
        Name of the model's file.
    model_note : str
        What was assumed of a model without a description; mostly empty.
    """

    predictions: list[Prediction]
    failures: list[InputError]
    description: Description
    model: str
    model_note: str = ""


def with_overlays(
    results: Iterable[Prediction | InputError],
    paths: Sequence[Path],
    outputs: PredictionOutputs,
    classes: Sequence[str],
) -> Iterator[Prediction | InputError]:
    """Write each prediction's overlay as it comes; keep only the images that the report shows."""
    names = overlay_names(paths) if outputs.gradcam else []
    for position, result in enumerate(results):
        if not isinstance(result, Prediction) or result.image is None or result.grad_cam is None:
            yield result
            continue
        if outputs.gradcam:
            title = f"{result.label}, probability {result.probabilities[classes.index(result.label)]:.3f}"
            drawn = overlay(result.image, result.grad_cam, result.seen, title)
            write_together({outputs.gradcam / names[position]: drawn})
            if outputs.report is None or position >= html.MOST:
                yield replace(result, image=None, grad_cam=None)
                continue
        yield result


def overlay_names(paths: Sequence[Path]) -> list[str]:
    """Return the overlays' file names: each image's, and its folder's where another image has the same name.

    Names that would still be equal, such as of ``../a`` and ``a``, or ``a/b`` and ``a-b``, are numbered: no overlay
    is written over another's.
    """
    counts = Counter(path.name for path in paths)
    found: list[str] = []
    taken: set[str] = set()
    for path in paths:
        folder = "-".join(part for part in path.parent.parts if part not in ("/", ".."))
        name = free = f"{folder}-{path.name}" if folder and counts[path.name] > 1 else path.name
        number = 1
        while free in taken:
            number += 1
            free = f"{number}-{name}"
        taken.add(free)
        found.append(f"{free}.gradcam.png")
    return found


def lines(run: PredictionRun) -> list[str]:
    """Return the predictions as they are printed: class, probabilities, and the file last."""
    if not run.predictions:
        return []
    classes = run.description.classes
    shown = [run.description.positive] if len(classes) == 2 else classes
    rows: list[list[object]] = [["class", *(f"p({name})" for name in shown), "file"]]
    for one in run.predictions:
        rows.append([one.label, *(f"{one.probabilities[classes.index(name)]:.3f}" for name in shown), one.path])
    found = table(rows, whole=True)
    threshold, positive = html.shown_threshold(run.description.threshold, classes), printable(run.description.positive)
    return found if threshold is None else [*found, f"{positive} from p({positive}) = {threshold:g} on"]


def summary(run: PredictionRun) -> str:
    """Return how many images are of which predicted class, and how many files were skipped."""
    counts = Counter(one.label for one in run.predictions)
    text = counted(len(run.predictions), "image")
    if run.predictions:
        text += ": " + ", ".join(f"{counts[name]} {name}" for name in run.description.classes)
    if run.failures:
        text += f"; {counted(len(run.failures), 'file')} skipped"
    return text


def write(run: PredictionRun, outputs: PredictionOutputs) -> dict[str, Path]:
    """Write the predictions for programs, and the HTML report: all of them, or none; return what was written."""
    contents: dict[Path, bytes] = {}
    if outputs.csv:
        contents[outputs.csv] = _as_csv(run).encode()
    if outputs.json:
        contents[outputs.json] = run_record.as_json(_record(run))
    if outputs.report:
        contents[outputs.report] = prediction_report(run)
    write_together(contents)
    named = {"CSV": outputs.csv, "JSON": outputs.json, "Grad-CAM": outputs.gradcam, "Report": outputs.report}
    # Of images that are all skipped there is no overlay.
    return {name: path for name, path in named.items() if path and (run.predictions or name != "Grad-CAM")}


def _record(run: PredictionRun) -> dict[str, object]:
    """Return the run as it stands in its JSON file."""
    classes = run.description.classes
    return {
        **run_record.header(),
        "model": run.model,
        "model_note": run.model_note,
        "conclusion": conclusion(run.description.summary),
        "classes": classes,
        "threshold": run.description.threshold,
        "predictions": [
            {
                "file": printable(one.path),
                "class": one.label,
                "probabilities": dict(zip(classes, one.probabilities, strict=True)),
                "note": one.note,
            }
            for one in run.predictions
        ],
        "failures": [printable(failure) for failure in run.failures],
    }


def _as_csv(run: PredictionRun) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    classes = run.description.classes
    threshold = html.shown_threshold(run.description.threshold, classes)
    writer.writerow(["file", "class", *(f"p({printable(name)})" for name in classes), "threshold"])
    for one in run.predictions:
        names = map(escaped, (printable(one.path), printable(one.label)))
        writer.writerow([*names, *map(repr, one.probabilities), threshold])
    return text.getvalue()


def prediction_report(run: PredictionRun) -> bytes:
    """Return the HTML report."""
    predictions, failures, description = run.predictions, run.failures, run.description
    classes = description.classes
    positive = classes.index(description.positive)
    ordered = sorted(predictions, key=lambda one: -one.probabilities[positive])
    common = common_notes([one.note for one in predictions])
    on_all = {note for note, number in common if number == len(predictions)}
    cards = [_card(one, classes, positive, on_all) for one in ordered if one.image is not None]
    counts = ", ".join(f"{sum(one.label == name for one in predictions)} predicted {name}" for name in classes)
    title = f"Predictions: {counted(len(predictions), 'image')}"
    return html.render(
        "prediction.html.j2",
        f"{title} ({counts})" if predictions else title,
        total=counted(len(predictions), "image"),
        left_out=counted(len(predictions) - len(cards), "more image") if len(predictions) > len(cards) else "",
        bars=histogram([one.probabilities[positive] for one in predictions]),
        threshold=html.shown_threshold(description.threshold, classes),
        common=[f"{number} of {counted(len(predictions), 'image')}: {text}" for text, number in common],
        cards=cards,
        classes=classes,
        positive=description.positive,
        skipped=counted(len(failures), "file"),
        conclusion=conclusion(description.summary),
        failures=[str(failure) for failure in failures],
        card=[*model_card(description, run.model), *([("note", run.model_note)] if run.model_note else [])],
    )


def common_notes(notes: Sequence[str]) -> list[tuple[str, int]]:
    """Return the notes that several images share, each with their number, most frequent first.

    `notes` has one string an image, which may hold several notes (`joined`).
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
        "image": "" if one.image is None else html.image_uri(one.image),
        "height": html.shown_height(one.aspect),
        "heat": html.heat_uri(one.grad_cam) if one.grad_cam is not None else "",
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
    threshold = html.shown_threshold(description.threshold, description.classes)
    clinical = ", ".join(str(column["name"]) for column in description.clinical)
    return [
        ("model", model),
        ("classes", ", ".join(description.classes)),
        ("positive class", description.positive),
        ("recipe", description.recipe),
        ("pooling", description.pooling),
        ("clinical values", clinical or "none"),
        ("threshold", "the most probable class" if threshold is None else f"p({description.positive}) ≥ {threshold:g}"),
        *training_rows(description.summary),
    ]


def conclusion(summary: TrainingSummary | None) -> str:
    """Return what has to be known before the probabilities are used, in a sentence."""
    if summary is None or not summary.conclusion:
        return "Do not rely on these probabilities: the model's file does not say how it was evaluated."
    return summary.conclusion


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
        ("ROC AUC", summary.roc_auc),
        *([("probabilities", HOLD[summary.balanced])] if summary.balanced is not None else []),
        ("checks that warned", "; ".join(summary.warned) or "none"),
    ]


def minute(created: str) -> str:
    """Return a time of a model file, which may lack its zone, in UTC to the minute; what is no time, as it is."""
    try:
        found = datetime.fromisoformat(created)
        zoned = found.replace(tzinfo=found.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return created
    return html.shown_time(zoned)
