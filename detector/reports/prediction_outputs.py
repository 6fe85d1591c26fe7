"""What a prediction prints and writes."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector import InputError, counted, printable
from detector.cli.output import DISCLAIMER
from detector.files.atomic import require_folder, require_outputs, write_together
from detector.files.tables import escaped
from detector.inference.predict import Prediction
from detector.network.model_file import Description
from detector.reports import html_report, run_record
from detector.reports.plots import overlay
from detector.reports.prediction_report import prediction_report

CSV, JSON, REPORT = "predictions.csv", "predictions.json", "predictions.html"


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
        return self.gradcam is not None or (self.report is not None and position < html_report.MOST)


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
            if outputs.report is None or position >= html_report.MOST:
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


def table(run: PredictionRun) -> list[str]:
    """Return the predictions as they are printed: class, probabilities, and the file last."""
    if not run.predictions:
        return []
    classes = run.description.classes
    shown = [run.description.positive] if len(classes) == 2 else classes
    names = [printable(name) for name in shown]
    wide = max(5, *(len(printable(name)) for name in classes))
    rows = [f"{'class':<{wide}}  " + "  ".join(f"p({name})" for name in names) + "  file"]
    for one in run.predictions:
        values = [one.probabilities[classes.index(name)] for name in shown]
        numbers = "  ".join(f"{value:>{len(name) + 3}.3f}" for value, name in zip(values, names, strict=True))
        rows.append(f"{printable(one.label):<{wide}}  {numbers}  {printable(one.path)}")
    return rows


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
        contents[outputs.report] = prediction_report(
            run.predictions, run.failures, run.description, run.model, run.model_note
        )
    write_together(contents)
    named = {"CSV": outputs.csv, "JSON": outputs.json, "Grad-CAM": outputs.gradcam, "Report": outputs.report}
    # Of images that are all skipped there is no overlay.
    return {name: path for name, path in named.items() if path and (run.predictions or name != "Grad-CAM")}


def _record(run: PredictionRun) -> dict[str, object]:
    """Return the run as it stands in its JSON file."""
    classes = run.description.classes
    return {
        **run_record.header(),
        "notice": DISCLAIMER,
        "model": run.model,
        "model_note": run.model_note,
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
    writer.writerow(["file", "class", *(f"p({printable(name)})" for name in run.description.classes)])
    for one in run.predictions:
        writer.writerow([*map(escaped, (printable(one.path), printable(one.label))), *map(repr, one.probabilities)])
    return text.getvalue()
