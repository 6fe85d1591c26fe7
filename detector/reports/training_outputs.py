"""What a training run prints and writes, once everything is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from detector import counted
from detector.audit.checks import PASS, Check
from detector.audit.subgroups import Subgroup
from detector.cli.output import DISCLAIMER, wrapped
from detector.network.model_file import ClassCount, TrainingSummary
from detector.reports import comparison_table, plots, run_record
from detector.reports.evaluation_figure import evaluation_figure
from detector.reports.html_report import created
from detector.reports.metric_names import NAMES, references
from detector.reports.training_report import ReportedFiles, training_report
from detector.statistics.metric import FEWEST, Metric
from detector.training.comparison import RecipeComparison
from detector.training.crossvalidation import EvaluatedHead, LeftOutSite
from detector.training.dataset import FeatureExtractor, ImplausibleImage
from detector.training.options import EvaluationOptions, OutputPaths


@dataclass(frozen=True)
class TrainingResult:
    """Everything that a training run has computed.

    Attributes
    ----------
    extractor : FeatureExtractor
    evaluated : EvaluatedHead
    metrics : dict of str to Metric
    subgroups : sequence of Subgroup
    left_out : sequence of LeftOutSite
    checks : sequence of Check
    order : ndarray of int
        Test images as a report shows them.
    grad_cam : list of ndarray of shape (14, 14)
        Of the first of these; empty where no report is made.
    evaluation_options : EvaluationOptions
    settings : mapping of str to object
    times : mapping of str to float
        Seconds of each stage.
    comparison : RecipeComparison, optional
        With a second recipe.
    implausible : sequence of ImplausibleImage
        Those that may be no frontal chest radiographs, left out or not.
    """

    extractor: FeatureExtractor
    evaluated: EvaluatedHead
    metrics: dict[str, Metric]
    subgroups: Sequence[Subgroup]
    left_out: Sequence[LeftOutSite]
    checks: Sequence[Check]
    order: np.ndarray
    grad_cam: list[np.ndarray]
    evaluation_options: EvaluationOptions
    settings: Mapping[str, object]
    times: Mapping[str, float]
    comparison: RecipeComparison | None = None
    implausible: Sequence[ImplausibleImage] = ()

    @property
    def positive(self) -> int:
        """Index of the positive class."""
        return self.evaluated.evaluation.classes.index(self.evaluated.evaluation.positive)

    @property
    def n_patients(self) -> dict[str, int]:
        """Patients of the training and of the test images."""
        sides = (("train", self.evaluated.train), ("test", self.evaluated.held_out))
        return {side: len(set(self.extractor.patients[rows])) for side, rows in sides}

    @property
    def sides(self) -> dict[str, np.ndarray]:
        """Training and test images; all of both in a cross-validation."""
        if self.evaluation_options.folds:
            return {"all": self.evaluated.held_out}
        return {"training": self.evaluated.train, "test": self.evaluated.held_out}

    @property
    def references(self) -> dict[str, object]:
        """What the metrics' references are filled in with."""
        labels = self.evaluated.predictions.labels
        share = float((labels == self.positive).mean())
        majority = float(max((labels == label).mean() for label in set(labels.tolist())))
        return references(share, majority, self.evaluation_options.prevalence)

    @property
    def title(self) -> str:
        """The test set in words."""
        images, patients = len(self.evaluated.held_out), self.n_patients["test"]
        both = f"{counted(images, 'image')} from {counted(patients, 'patient')}"
        folds = self.evaluation_options.folds
        return f"{folds}-fold cross-validation: {both}" if folds else f"Test set: {both}"


def lines(result: TrainingResult) -> list[str]:
    """Return what is printed of a run's evaluation: the tutorial's lines, then the metrics."""
    evaluated, evaluation = result.evaluated, result.evaluated.evaluation
    repeats = len(evaluated.predicted)
    found = [f"Classification report and confusion matrix of the first of {repeats} repeats:"] if repeats > 1 else []
    found += run_record.lines(evaluation, evaluated.predictions.labels, evaluated.predicted[0])
    for text in run_record.operating_point(result.evaluation_options.point.sensitivity, evaluated):
        found += wrapped(text, rest="  ")
    found += ["", result.title, "", f"{'metric':<25}{'value':>6}   95 % CI"]
    for name, metric in {"roc_auc": evaluation.roc_auc, **result.metrics}.items():
        found += metric_lines(name, metric, result)
    if result.comparison:
        found += ["", *comparison_table.lines(result.comparison)]
    return found + subgroup_lines(result.subgroups) + left_out_lines(result.left_out)


def subgroup_lines(subgroups: Sequence[Subgroup]) -> list[str]:
    """Return the table of subgroups, of those properties that have more than one value."""
    counts = Counter(one.property for one in subgroups)
    rows = [one for one in subgroups if counts[one.property] > 1]
    if not rows:
        return []
    wide = max(25, *(len(f"  {row.property} {row.value}") for row in rows))
    found = ["", f"{'Subgroups':<{wide}} images  sensitivity  specificity  ROC AUC"]
    for row in rows:
        values = (row.sensitivity, row.specificity, row.roc_auc)
        texts = [metric.value_text if metric.available else "n/a" for metric in values]
        name = f"  {row.property} {row.value}"
        found.append(f"{name:<{wide}} {row.n_images:>6}  {texts[0]:>11}  {texts[1]:>11}  {texts[2]:>7}")
    if any(not row.roc_auc.available for row in rows):
        found.append(f"  n/a: fewer than {FEWEST} images of a class")
    return found


def left_out_lines(left_out: Sequence[LeftOutSite]) -> list[str]:
    """Return the table of sites that were left out of training in turn, and tested."""
    if not left_out:
        return []
    found = ["", "Each site tested by a model that was trained on all others"]
    found.append(f"  {'site':<20}  {'ROC AUC':<16}  {'sensitivity':<16}  specificity")
    for one in left_out:
        metrics = (one.roc_auc, one.sensitivity, one.specificity)
        texts = [metric.short if metric.available else "n/a" for metric in metrics]
        found.append(f"  {one.site:<20}  {texts[0]:<16}  {texts[1]:<16}  {texts[2]}")
        reasons = dict.fromkeys(metric.reason for metric in metrics if not metric.available)
        found += [line for reason in reasons for line in wrapped(f"n/a: {reason}", " " * 4, " " * 6)]
    return found


def metric_lines(name: str, metric: Metric, result: TrainingResult) -> list[str]:
    """Return a metric in a line, or that there is none, whose reason may need another line."""
    start = f"{NAMES[name].name:<25}"
    if not metric.available:
        return wrapped(metric.reason, f"{start}   n/a   ", " " * 34)
    beside = NAMES[name].beside(result.references)
    return [f"{start}{metric.value_text:>6}   {metric.interval_text:<13}  {beside}".rstrip()]


def check_lines(checks: Sequence[Check]) -> list[tuple[str, bool]]:
    """Return the validity checks as lines, and whether each warns; what to do about a warning stands below it."""
    hanging = " " * (2 + len(str(Check("", PASS, ""))))
    found = []
    for check in checks:
        lines = wrapped(check, "  ", hanging)
        if check.warns and check.recommendation:
            lines += wrapped(check.recommendation, f"{hanging}-> ", f"{hanging}   ")
        found += [(line, check.warns) for line in lines]
    return found


def record(result: TrainingResult) -> dict[str, object]:
    """Return the run as it stands in its JSON file."""
    evaluated, extractor = result.evaluated, result.extractor
    classes = evaluated.evaluation.classes
    return run_record.header() | {
        "notice": DISCLAIMER,
        "versions": run_record.versions(),
        "settings": result.settings,
        "base": run_record.base(extractor),
        "classes": classes,
        "train": run_record.images(extractor, evaluated.train),
        "held_out": run_record.predictions(extractor, evaluated),
        "implausible_images": result.implausible,
        "n_patients": result.n_patients,
        "threshold": evaluated.threshold,
        "metrics": run_record.fields_of(evaluated.evaluation) | result.metrics,
        "comparison": result.comparison,
        "subgroups": result.subgroups,
        "sites_left_out": result.left_out,
        "checks": result.checks,
        "history": run_record.history(evaluated.fitted.trained),
        "times": result.times,
    }


def summary(result: TrainingResult) -> TrainingSummary:
    """Return what the model's file keeps of the run."""
    dataset, patients, train = result.extractor.dataset, result.extractor.patients, result.evaluated.train
    counts = []
    for index, name in enumerate(dataset.classes):
        own = train[dataset.labels[train] == index]
        counts.append(ClassCount(name, len(own), len(set(patients[own]))))
    warned = tuple(check.title for check in result.checks if check.warns)
    roc_auc = str(result.evaluated.evaluation.roc_auc)
    return TrainingSummary(dataset.name, created(), tuple(counts), result.title, roc_auc, warned)


def contents(result: TrainingResult, outputs: OutputPaths, model: bytes) -> dict[Path, bytes]:
    """Return every output's bytes; nothing is written, and no network runs.

    Parameters
    ----------
    result : TrainingResult
    outputs : OutputPaths
    model : bytes
        Of the model's file.

    Returns
    -------
    dict of Path to bytes
    """

    # A report shows both as PNG, which mostly are the files themselves: each is drawn once.
    @cache
    def history(suffix: str) -> bytes:
        return plots.history(result.evaluated.fitted.trained, suffix)

    @cache
    def evaluation(suffix: str) -> bytes:
        return evaluation_figure(result.evaluated, result.metrics, result.title, suffix)

    found = {
        outputs.plot: history(outputs.plot.suffix),
        outputs.evaluation_plot: evaluation(outputs.evaluation_plot.suffix),
        outputs.model: model,
        outputs.json: run_record.as_json(record(result)),
    }
    if outputs.report:
        beside = ReportedFiles(history(".png"), evaluation(".png"), outputs.plot.name, outputs.json.name)
        found[outputs.report] = training_report(result, beside)
    return found
