"""A training run: its result, what is printed, its JSON record and its HTML report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from detector import counted
from detector.audit.checks import PASS, Check, worst_first
from detector.audit.subgroups import Subgroup
from detector.cli.output import DISCLAIMER, wrapped
from detector.datasets import overview
from detector.network.model_file import ClassCount, TrainingSummary
from detector.reports import figures, html, run_record
from detector.reports.figures import evaluation_figure
from detector.reports.html import created, image_uris
from detector.reports.metric_names import GROUPS, NAMES, references
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import FEWEST, Metric
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE
from detector.training.comparison import RecipeComparison
from detector.training.crossvalidation import EvaluatedHead, LeftOutSite
from detector.training.dataset import FeatureExtractor, ImplausibleImage
from detector.training.options import EvaluationOptions, OutputPaths

GLOSS = (
    "ROC AUC of both recipes on the same images, split, folds and repeats. The difference has an interval of its own: "
    "a bootstrap over patients, in which both recipes see the same draws."
)

UNCLEAR = "The interval contains 0: no difference is shown."

WORDS = {"tutorial": "tutorial", "probe": "linear probe"}


@dataclass(frozen=True)
class ComparisonTable:
    """What an HTML report shows of a comparison: a row for each recipe, and the difference in a sentence."""

    rows: tuple[tuple[str, Metric], ...]
    sentence: str
    remark: str
    gloss: str = GLOSS


def comparison_table(comparison: RecipeComparison) -> ComparisonTable:
    """Return a comparison as it is shown."""
    one, other = recipe_title(comparison.recipe), recipe_title(comparison.compared_with)
    rows = (one, comparison.roc_auc), (other, comparison.compared_roc_auc)
    difference = comparison.difference
    remark = UNCLEAR if difference.available and not comparison.is_clear else ""
    return ComparisonTable(rows, f"{one} minus {other}: {signed(difference)}", remark)


def comparison_lines(comparison: RecipeComparison) -> list[str]:
    """Return what is printed of a comparison, in 80 columns."""
    shown = comparison_table(comparison)
    found = [f"{'Comparison on the same images':<35}{'ROC AUC':>7}   95 % CI"]
    for name, metric in shown.rows:
        text = f"{metric.value_text:>7}   {metric.interval_text}" if metric.available else f"{'n/a':>7}"
        found.append(f"  {name:<33}{text}".rstrip())
    found.append(f"  {shown.sentence}")
    return found + ([f"  {shown.remark}"] if shown.remark else [])


def recipe_title(name: str) -> str:
    """Return a recipe such as ``"probe:lungs"`` in words; the tutorial's own pooling is not named."""
    recipe, _, pooling = name.partition(":")
    return WORDS[recipe] if recipe == pooling else f"{WORDS[recipe]} ({pooling})"


def signed(difference: Metric) -> str:
    """Return a difference with its sign, such as ``"+0.06 (0.01 to 0.11)"``, or the reason why there is none."""
    if difference.value is None:
        return difference.short
    if difference.ci_low is None or difference.ci_high is None:
        return f"{difference.value:+.2f}" if difference.value else "0"
    bounds = difference.ci_low, difference.ci_high
    # A bound that is not 0 is not printed as 0: it would hide on which side of 0 the interval ends.
    decimals = next((d for d in range(2, 6) if all(round(bound, d) or not bound for bound in bounds)), 6)
    value = round(difference.value, decimals) or 0.0
    sign = "+" if value else ""
    low, high = (f"{bound:.{decimals}f}" for bound in bounds)
    return f"{value:{sign}.{decimals}f} ({low} to {high})"


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
        found += ["", *comparison_lines(result.comparison)]
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
        return figures.history(result.evaluated.fitted.trained, suffix)

    @cache
    def evaluation(suffix: str) -> bytes:
        return evaluation_figure(
            result.evaluated, result.metrics, result.title, result.settings.get("class_weight") != "none", suffix
        )

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
    return html.render(
        "training.html.j2",
        f"Training report: {result.extractor.dataset.name} ({counts})",
        conclusion=conclusion(evaluation, result.checks),
        warns=any(check.warns for check in result.checks),
        tiles=tiles(result),
        confusion=evaluation.confusion.tolist(),
        checks=worst_first(result.checks),
        groups=metric_groups(result),
        comparison=result.comparison and comparison_table(result.comparison),
        test_set=result.title,
        counted=f"{wrong} of {len(result.order)} test images were misclassified.",
        upper_left=result.settings["pooling"] == "tutorial",
        left_out=max(0, len(result.order) - html.MOST),
        cards=cards(result),
        classes=evaluation.classes,
        positive=evaluation.positive,
        threshold=html.shown_threshold(evaluated.threshold, evaluation.classes),
        folds=result.evaluation_options.folds,
        plot=html.uri(beside.learning_curves),
        evaluation=html.uri(beside.evaluation),
        plot_name=beside.plot_name,
        probe=evaluated.fitted.trained.strength is not None,
        json=beside.json_name,
        subgroups=result.subgroups,
        meaning=overview.meaning(entries),
        overview=overview.rows(entries),
        characteristics=run_record.characteristics(result.extractor.dataset.images, result.sides),
        settings=html.shown_settings(settings),
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
                height=html.shown_height(properties.height / properties.width),
                heat=html.heat_uri(heat),
                row={"file": image.file, "class": image.label, **image.row},
            )
        )
    return found
