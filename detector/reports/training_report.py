"""The HTML report of a training run: conclusion, checks, metrics, and every test image, errors first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector import counted
from detector.audit.checks import Check, worst_first
from detector.datasets import overview
from detector.reports import comparison_table, html_report, run_record
from detector.reports.metric_names import GROUPS
from detector.reports.thumbnails import image_uris
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE

if TYPE_CHECKING:
    from detector.reports.training_outputs import TrainingResult


@dataclass(frozen=True)
class Card:
    """A test image in the report."""

    file: str
    label: str
    label_index: int
    predicted: str
    correct: bool
    probability: float
    patient: str
    image: str
    height: int
    heat: str
    row: Mapping[str, str]


@dataclass(frozen=True)
class ReportedFiles:
    """The run's other outputs: figures that the report shows, and names that it gives.

    Attributes
    ----------
    learning_curves, evaluation : bytes
        Figures, as PNG.
    plot_name, json_name : str
        Files of the learning curves and of the record.
    """

    learning_curves: bytes
    evaluation: bytes
    plot_name: str
    json_name: str


def training_report(result: TrainingResult, beside: ReportedFiles) -> bytes:
    """Return the report.

    Parameters
    ----------
    result : TrainingResult
    beside : ReportedFiles
    """
    evaluation, evaluated = result.evaluated.evaluation, result.evaluated
    wrong = int((evaluated.predicted[0] != evaluated.predictions.labels).sum())
    entries = overview.of_images(result.extractor.dataset.images)
    counts = ", ".join(f"{count} {name}" for name, count in result.extractor.dataset.counts().items())
    settings = dict(result.settings) | run_record.versions()
    return html_report.render(
        "training.html.j2",
        f"Training report: {result.extractor.dataset.name} ({counts})",
        conclusion=conclusion(evaluation, result.checks),
        warns=any(check.warns for check in result.checks),
        tiles=tiles(result),
        confusion=evaluation.confusion.tolist(),
        checks=worst_first(result.checks),
        groups=metric_groups(result),
        comparison=result.comparison and comparison_table.table(result.comparison),
        test_set=result.title,
        counted=f"{wrong} of {len(result.order)} test images were misclassified.",
        upper_left=result.settings["pooling"] == "tutorial",
        left_out=max(0, len(result.order) - html_report.MOST),
        cards=cards(result),
        classes=evaluation.classes,
        positive=evaluation.positive,
        threshold=html_report.shown_threshold(evaluated.threshold, evaluation.classes),
        folds=result.evaluation_options.folds,
        plot=html_report.png_uri(beside.learning_curves),
        evaluation=html_report.png_uri(beside.evaluation),
        plot_name=beside.plot_name,
        probe=evaluated.fitted.trained.strength is not None,
        json=beside.json_name,
        subgroups=result.subgroups,
        meaning=overview.meaning(entries),
        overview=overview.rows(entries),
        characteristics=run_record.characteristics(result.extractor.dataset.images, result.sides),
        settings=html_report.shown_settings(settings),
    )


def conclusion(evaluation: Evaluation, checks: Sequence[Check]) -> str:
    """Return the conclusion in a sentence: the ROC AUC, and which checks warn."""
    warned = [check.title for check in checks if check.warns]
    number = f"ROC AUC {evaluation.roc_auc}"
    if not warned:
        return f"{number}. None of {len(checks)} checks warns."
    verb = "warns" if len(warned) == 1 else "warn"
    return f"{number}. {len(warned)} of {len(checks)} checks {verb}: {'; '.join(warned)}."


def tiles(result: TrainingResult) -> list[tuple[str, str, str]]:
    """Return name, value and interval of what stands on the first screen."""
    evaluation = result.evaluated.evaluation
    named = (
        ("ROC AUC", evaluation.roc_auc),
        ("Sensitivity", evaluation.sensitivity),
        ("Specificity", evaluation.specificity),
    )
    found = [
        (name, metric.value_text, f"95 % CI {metric.interval_text}" if metric.available else metric.reason)
        for name, metric in named
    ]
    images, patients = len(result.evaluated.held_out), result.n_patients["test"]
    return [*found, ("Test images", str(images), counted(patients, "patient"))]


def metric_groups(result: TrainingResult) -> list[tuple[str, list[dict[str, object]]]]:
    """Return the metrics in groups, each with what it says and its own reference."""
    evaluation = result.evaluated.evaluation
    metrics: dict[str, Metric] = {**evaluation.metrics(), **result.metrics}
    found = []
    for title, members in GROUPS:
        rows = [
            {
                "name": words.name,
                "gloss": words.gloss,
                "reference": words.reference.format(**result.references),
                "metric": metrics[key],
                "drawn": key not in (IN_THE_LARGE, SLOPE) and metrics[key].ci_low is not None,
            }
            for key, words in members.items()
            if key in metrics
        ]
        found.append((title, rows))
    return found


def cards(result: TrainingResult) -> list[Card]:
    """Return the test images, each with its Grad-CAM."""
    evaluated, extractor, positive = result.evaluated, result.extractor, result.positive
    classes = evaluated.evaluation.classes
    shown = result.order[: len(result.grad_cam)]
    pictures = image_uris(extractor, evaluated.held_out[shown].tolist())
    found = []
    for position, heat, picture in zip(shown, result.grad_cam, pictures, strict=True):
        row, predicted = evaluated.held_out[position], classes[int(evaluated.predicted[0][position])]
        image, properties = extractor.dataset.images[row], extractor.properties[row]
        found.append(
            Card(
                file=image.file,
                label=image.label,
                label_index=classes.index(image.label),
                predicted=predicted,
                correct=predicted == image.label,
                probability=float(evaluated.probabilities[0][position, positive]),
                patient=run_record.short(str(extractor.patients[row])),
                image=picture,
                height=html_report.shown_height(properties.height / properties.width),
                heat=html_report.heat_uri(heat),
                row={"file": image.file, "class": image.label, **image.row},
            )
        )
    return found
