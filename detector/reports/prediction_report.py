"""Predictions: what is printed, their JSON, CSV and overlays, and their HTML report."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, counted, printable
from detector.files.atomic import write_together
from detector.files.tables import escaped
from detector.images.raster import BETWEEN_NOTES, joined
from detector.inference.predict import Prediction
from detector.network.model_file import Description
from detector.reports import html, run_record
from detector.reports.figures import overlay
from detector.reports.text import HOLD, table

CSV, JSON, REPORT = "predictions.csv", "predictions.json", "predictions.html"

BINS = 20  # of the histogram


@dataclass(frozen=True)
class PredictionRun:
    """The predictions of a run, why files were skipped, and the model: its file's name, and what was assumed of it."""

    predictions: list[Prediction]
    failures: list[InputError]
    description: Description
    model: str
    model_note: str = ""

    @property
    def threshold(self) -> float | None:
        """From which probability on the positive class is predicted."""
        return html.shown_threshold(self.description.threshold, self.description.classes)

    @property
    def conclusion(self) -> str:
        """What has to be known before the probabilities are used, in a sentence."""
        summary = self.description.summary
        unknown = "Do not rely on these probabilities: the model's file does not say how it was evaluated."
        return (summary and summary.conclusion) or unknown


def with_overlays(
    results: Iterable[Prediction | InputError],
    paths: Sequence[Path],
    folder: Path | None,
    shown: int,
    classes: Sequence[str],
) -> Iterator[Prediction | InputError]:
    """Write each prediction's overlay, if into a folder, as it comes; keep the first images, which the report shows."""
    names = overlay_names(paths)
    for position, result in enumerate(results):
        if not isinstance(result, Prediction) or result.image is None or result.grad_cam is None:
            yield result
            continue
        if folder:
            title = f"{result.label}, probability {result.probabilities[classes.index(result.label)]:.3f}"
            drawn = overlay(result.image, result.grad_cam, result.seen, title)
            write_together({folder / names[position]: drawn})
        yield result if position < shown else replace(result, image=None, grad_cam=None)


def overlay_names(paths: Sequence[Path]) -> list[str]:
    """Return the overlays' file names: each image's, after its folder's where another image has the same name.

    No overlay is written over another's: what still would be equal gets its folder's name again.
    """
    counts = Counter(path.name for path in paths)
    found: dict[str, Path] = {}
    for path in paths:
        before = f"{path.absolute().parent.name}-"
        name = f"{before if counts[path.name] > 1 else ''}{path.name}.gradcam.png"
        while name in found:
            name = f"{before}{name}"
        found[name] = path
    return list(found)


def lines(run: PredictionRun) -> list[str]:
    """Return the predictions as they are printed: class, probabilities, and the file last."""
    if not run.predictions:
        return []
    classes, positive = run.description.classes, printable(run.description.positive)
    shown = [run.description.positive] if len(classes) == 2 else classes
    rows: list[list[object]] = [["class", *(f"p({name})" for name in shown), "file"]]
    for one in run.predictions:
        rows.append([one.label, *(f"{one.probabilities[classes.index(name)]:.3f}" for name in shown), one.path])
    note = [] if run.threshold is None else [f"{positive} from p({positive}) = {run.threshold:g} on"]
    return table(rows, whole=True) + note


def summary(run: PredictionRun) -> str:
    """Return how many images are of which predicted class, and how many files were skipped."""
    counts = Counter(one.label for one in run.predictions)
    said = ", ".join(f"{counts[name]} {name}" for name in run.description.classes)
    text = f"{counted(len(run.predictions), 'image')}{f': {said}' if run.predictions else ''}"
    return f"{text}; {counted(len(run.failures), 'file')} skipped" if run.failures else text


def write(run: PredictionRun, outputs: Mapping[str, Path]) -> None:
    """Write the predictions for programs, and the HTML report, by their flags: all of them, or none."""
    made = {"--csv": _as_csv, "--json": _as_json, "--report": prediction_report}
    write_together({path: made[flag](run) for flag, path in outputs.items()})


def _as_json(run: PredictionRun) -> bytes:
    classes = run.description.classes
    record = {
        **run_record.header(),
        "model": run.model,
        "model_note": run.model_note,
        "conclusion": run.conclusion,
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
    return run_record.as_json(record)


def _as_csv(run: PredictionRun) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    columns = (f"p({printable(name)})" for name in run.description.classes)
    writer.writerow(["file", "class", *columns, "threshold"])
    for one in run.predictions:
        names = map(escaped, (printable(one.path), printable(one.label)))
        writer.writerow([*names, *map(repr, one.probabilities), run.threshold])
    return text.getvalue().encode()


def prediction_report(run: PredictionRun) -> bytes:
    """Return the HTML report."""
    predictions, classes, positive = run.predictions, run.description.classes, run.description.positive
    probabilities = [one.probabilities[classes.index(positive)] for one in predictions]
    ordered = sorted(zip(predictions, probabilities, strict=True), key=lambda one: -one[1])
    counts = ", ".join(f"{sum(one.label == name for one in predictions)} predicted {name}" for name in classes)
    title = f"Predictions: {counted(len(predictions), 'image')}"
    common = common_notes([one.note for one in predictions])
    on_all = [note for note, number in common if number == len(predictions)]
    return html.render(
        "prediction.html.j2",
        f"{title} ({counts})" if predictions else title,
        conclusion=run.conclusion,
        failures=run.failures,
        total=len(predictions),
        bars=np.histogram(probabilities, BINS, (0.0, 1.0))[0].tolist(),
        threshold=run.threshold,
        common=common,
        cards=[
            html.Card(
                file=str(one.path),
                picture=html.image_uri(one.image),
                aspect=one.aspect,
                heat=html.heat_uri(one.grad_cam),
                label=classes.index(one.label),
                said=[f"Predicted: {one.label}"],
                probability=probability,
                below=one.path.name,
                details={
                    "file": str(one.path),
                    **{f"p({name})": f"{p:.4f}" for name, p in zip(classes, one.probabilities, strict=True)},
                    "note": joined(*(part for part in one.note.split(BETWEEN_NOTES) if part not in on_all)),
                },
            )
            for one, probability in ordered
            if one.image is not None
        ],
        classes=classes,
        positive=positive,
        card=model_card(run),
    )


def common_notes(notes: Sequence[str]) -> list[tuple[str, int]]:
    """Return the notes that several images share, each with their number, most frequent first.

    `notes` has one string an image, which may hold several notes (`joined`).
    """
    counts = Counter(part for note in notes for part in sorted(set(note.split(BETWEEN_NOTES))) if part)
    return [(text, number) for text, number in counts.most_common() if number > 1]


def model_card(run: PredictionRun) -> list[tuple[str, str]]:
    """Return what the model's file says of it, and of its training run."""
    description, summary = run.description, run.description.summary
    rows = [
        ("model", run.model),
        ("classes", ", ".join(description.classes)),
        ("positive class", description.positive),
        ("recipe", description.recipe),
        ("pooling", description.pooling),
        ("clinical values", ", ".join(str(column["name"]) for column in description.clinical) or "none"),
        (
            "threshold",
            "the most probable class" if run.threshold is None else f"p({description.positive}) ≥ {run.threshold:g}",
        ),
    ]
    if summary:
        counts = [
            f"{one.name}: {counted(one.images, 'image')} from {counted(one.patients, 'patient')}"
            for one in summary.classes
        ]
        rows += [
            ("trained", summary.created),
            ("training data", f"{summary.data_set} ({'; '.join(counts)})"),
            ("evaluation", summary.evaluation),
            ("ROC AUC", summary.roc_auc),
            ("probabilities", "" if summary.balanced is None else HOLD[summary.balanced]),
            ("checks that warned", "; ".join(summary.warned) or "none"),
        ]
    return [(name, value) for name, value in [*rows, ("note", run.model_note)] if value]
