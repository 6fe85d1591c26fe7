"""A training run: its result, what is printed, its JSON record and its HTML report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from detector import counted
from detector.audit.checks import Check, precision, worst_first
from detector.audit.evidence import BEYOND_BORDER
from detector.audit.judgement import Subgroup, Verdict, verdict
from detector.cli.output import BAD, GOOD, say, wrapped
from detector.datasets import overview
from detector.network.model_file import ClassCount, TrainingSummary
from detector.reports import figures, html, run_record
from detector.reports.text import (
    AS_GIVEN,
    GROUPS,
    HOLD,
    NAMES,
    check_lines,
    closing_lines,
    compared,
    metric_cells,
    table,
)
from detector.statistics.evaluation import evaluate
from detector.statistics.metric import FEWEST, Metric
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE
from detector.training.crossvalidation import EvaluatedHead, LeftOutSite, RecipeComparison
from detector.training.dataset import FeatureExtractor, ImplausibleImage
from detector.training.options import EvaluationOptions, OutputPaths

ONE_CLASS = ("sensitivity", "specificity", "roc_auc")  # metrics of one class against the others
JSON, FIGURE, REPORT = "evaluation.json", "evaluation.png", "report.html"  # of a run without training
UNCLEAR = "The interval contains 0: no difference is shown."
WORDS = {"tutorial": "tutorial", "probe": "linear probe"}


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
    inputs : mapping of str to object, optional
        Of a run without training: what was tested, and what of it was left out.
    notes : sequence of str, optional
        The same in sentences.
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
    inputs: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def trained(self) -> bool:
        """Whether this is a training run, and not a test of predictions on a whole folder."""
        return bool(len(self.evaluated.train))

    @property
    def positive(self) -> int:
        """Index of the positive class."""
        return self.evaluated.evaluation.classes.index(self.evaluated.evaluation.positive)

    @property
    def balanced(self) -> bool:
        """Whether training let the classes count equally."""
        return self.settings.get("class_weight") != "none"

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
        training = {"training": self.evaluated.train} if self.trained else {}
        return training | {"test": self.evaluated.held_out}

    @property
    def shares(self) -> dict[str, object]:
        """What the metrics' references are filled in with: shares of classes, and the prevalence that was given."""
        labels = self.evaluated.predictions.labels
        positive, at = float((labels == self.positive).mean()), self.evaluation_options.prevalence
        majority = float(np.bincount(labels).max() / len(labels))
        return {"prevalence": positive, "no_skill": positive * (1 - positive), "majority": majority, "at": at}

    @property
    def title(self) -> str:
        """The test set in words."""
        images, patients = len(self.evaluated.held_out), self.n_patients["test"]
        both = f"{counted(images, 'image')} from {counted(patients, 'patient')}"
        folds = self.evaluation_options.folds
        return f"{folds}-fold cross-validation: {both}" if folds else f"Test set: {both}"

    @property
    def per_class(self) -> dict[str, dict[str, Metric]]:
        """Metrics of each of more than two classes against the others."""
        classes = self.evaluated.evaluation.classes
        if len(classes) == 2:
            return {}
        found = [evaluate(self.evaluated.predictions, classes, index).metrics() for index in range(len(classes))]
        return {name: {key: metrics[key] for key in ONE_CLASS} for name, metrics in zip(classes, found, strict=True)}


def lines(result: TrainingResult) -> list[str]:
    """Return what is printed of a run's evaluation: the tutorial's lines, then the metrics."""
    evaluated, evaluation = result.evaluated, result.evaluated.evaluation
    repeats = len(evaluated.predicted)
    found = [f"Classification report and confusion matrix of the first of {repeats} repeats:"] if repeats > 1 else []
    found += run_record.lines(evaluation, evaluated.predictions.labels, evaluated.predicted[0])
    for text in run_record.operating_point(result.evaluation_options.point.sensitivity, evaluated):
        found += wrapped(text, rest="  ")
    rows: list[list[object]] = [["metric", "value", "95 % CI", ""]]
    for name, metric in {"roc_auc": evaluation.roc_auc, **result.metrics}.items():
        rows.append([NAMES[name].name, *metric_cells(metric, NAMES[name].beside(result.shares))])
    found += ["", *wrapped(f"{result.title}; metrics of {compared(evaluation)}", rest="  "), "", *table(rows)]
    by_class = [[name, *metrics.values()] for name, metrics in result.per_class.items()]
    found += metric_table("Each class v others", by_class)
    if folds := run_record.by_fold(evaluated):
        said = ", ".join(f"{NAMES[name].name} {mean_and_sd(one)}" for name, one in folds.items())
        found += ["", *wrapped(f"Mean ± SD over the folds: {said}", rest="  ")]
    if result.comparison:
        found += ["", *comparison_lines(result.comparison)]
    counts = Counter(one.property for one in result.subgroups)
    several = [one for one in result.subgroups if counts[one.property] > 1]
    groups = [[f"{one.property} {one.value}", one.sensitivity, one.specificity, one.roc_auc] for one in several]
    sites = [[one.site, one.sensitivity, one.specificity, one.roc_auc] for one in result.left_out]
    found += metric_table("Subgroups", groups)
    return found + metric_table("Site left out of training", sites)


def show(result: TrainingResult) -> None:
    """Print a run's evaluation, how precise it is, and the checks that warn."""
    say("\n".join([*lines(result), precision(result.evaluated.evaluation), ""]))
    for line in check_lines(result.checks):
        say(line, BAD if line.startswith("  ") else "")


def close(result: TrainingResult) -> None:
    """Print a run's result in a sentence, and what to do about it."""
    found = conclusion(result)
    say("\n".join(closing_lines(found.recommendation, found.message)), BAD if found.warns else GOOD)


def metric_table(heading: str, rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a table of sensitivity, specificity and ROC AUC, and why one is not estimable; nothing without rows."""
    metrics = [cell for row in rows for cell in row if isinstance(cell, Metric)]
    shown = [
        [(cell.short if cell.available else "n/a") if isinstance(cell, Metric) else cell for cell in row]
        for row in rows
    ]
    if not rows:
        return []
    found = ["", *table([[heading, *(NAMES[name].name for name in ONE_CLASS)], *shown])]
    unknown = any(not metric.available for metric in metrics)
    return found + ([f"  n/a: fewer than {FEWEST} images of a class"] if unknown else [])


def mean_and_sd(one: Mapping[str, object]) -> str:
    """Return mean and standard deviation, such as ``"0.91 ± 0.04"``."""
    return f"{one['mean']:.2f} ± {one['sd']:.2f}"


def comparison_lines(comparison: RecipeComparison) -> list[str]:
    """Return what is printed of a comparison."""
    rows: list[list[object]] = [["Comparison on the same images", "ROC AUC", "95 % CI"]]
    rows += [[f"  {name}", *metric_cells(metric)] for name, metric in recipes_of(comparison)]
    return [*table(rows), *wrapped(difference_of(comparison), "  ", "    ")]


def recipes_of(comparison: RecipeComparison) -> list[tuple[str, Metric]]:
    """Return both recipes of a comparison in words, with their ROC AUC."""
    one, other = recipe_title(comparison.recipe), recipe_title(comparison.compared_with)
    return [(one, comparison.roc_auc), (other, comparison.compared_roc_auc)]


def difference_of(comparison: RecipeComparison) -> str:
    """Return the difference of a comparison in a sentence."""
    (one, _), (other, _) = recipes_of(comparison)
    difference = comparison.difference
    sign = "+" if difference.available and difference.point > 0 else ""
    remark = f". {UNCLEAR}" if difference.available and not comparison.is_clear else ""
    return f"{one} minus {other}: {sign}{difference.short}{remark}"


def recipe_title(name: str) -> str:
    """Return a recipe such as ``"probe:lungs"`` in words; the tutorial's own pooling is not named."""
    recipe, _, pooling = name.partition(":")
    if recipe not in WORDS:  # a file of predictions
        return name
    return WORDS[recipe] if recipe == pooling else f"{WORDS[recipe]} ({pooling})"


def conclusion(result: TrainingResult) -> Verdict:
    """Return what the result is worth."""
    return verdict(result.evaluated.evaluation, result.metrics, result.checks)


def record(result: TrainingResult) -> dict[str, object]:
    """Return the run as it stands in its JSON file."""
    evaluated, extractor = result.evaluated, result.extractor
    return (
        run_record.header()
        | {
            "settings": result.settings,
            "base": run_record.base(extractor) if extractor.backbone.weights else None,
            "classes": evaluated.evaluation.classes,
            "train": run_record.images(extractor, evaluated.train),
            "held_out": run_record.predictions(extractor, evaluated),
            "implausible_images": result.implausible,
            "n_patients": result.n_patients,
            "threshold": evaluated.threshold,
            "metrics": {
                "confusion": evaluated.evaluation.confusion,
                **evaluated.evaluation.metrics(),
                **result.metrics,
            },
            "per_class": result.per_class,
            "folds": run_record.by_fold(evaluated),
            "comparison": result.comparison,
            "subgroups": result.subgroups,
            "sites_left_out": result.left_out,
            "checks": result.checks,
            "conclusion": conclusion(result),
            "history": run_record.history(evaluated.head) if result.trained else {},
            "times": result.times,
        }
        | dict(result.inputs)
    )


def summary(result: TrainingResult) -> TrainingSummary:
    """Return what the model's file keeps of the run."""
    dataset, patients, train = result.extractor.dataset, result.extractor.patients, result.evaluated.train
    counts = []
    for index, name in enumerate(dataset.classes):
        own = train[dataset.labels[train] == index]
        counts.append(ClassCount(name, len(own), len(set(patients[own]))))
    warned = tuple(check.title for check in result.checks if check.warns)
    roc_auc = str(result.evaluated.evaluation.roc_auc)
    named = dataset.name, html.created(), tuple(counts), result.title, roc_auc, warned
    return TrainingSummary(*named, balanced=result.balanced, conclusion=conclusion(result).for_use)


def contents(result: TrainingResult, outputs: OutputPaths, model: bytes) -> dict[Path, bytes]:
    """Return every output's bytes, given those of the model's file; nothing is written, and no network runs."""

    # A report shows both as PNG, which mostly are the files themselves: each is drawn once.
    @cache
    def history(suffix: str) -> bytes:
        return figures.history(result.evaluated.head, suffix)

    @cache
    def evaluation(suffix: str) -> bytes:
        return figures.evaluation_figure(result.evaluated, result.metrics, result.title, result.balanced, suffix)

    found = {
        outputs.plot: history(outputs.plot.suffix),
        outputs.evaluation_plot: evaluation(outputs.evaluation_plot.suffix),
        outputs.model: model,
        outputs.json: run_record.as_json(record(result)),
    }
    if outputs.report:
        found[outputs.report] = training_report(
            result, outputs.json.name, evaluation(".png"), history(".png"), outputs.plot.name
        )
    return found


def evaluation_contents(result: TrainingResult, folder: Path) -> dict[Path, bytes]:
    """Return the bytes of what a run without training writes to a folder."""
    figure = figures.evaluation_figure(result.evaluated, result.metrics, result.title, result.balanced)
    return {
        folder / JSON: run_record.as_json(record(result)),
        folder / FIGURE: figure,
        folder / REPORT: training_report(result, JSON, figure),
    }


def training_report(
    result: TrainingResult, json: str, evaluation: bytes, history: bytes = b"", name: str = ""
) -> bytes:
    """Return the HTML report, given the name of the JSON file, and the figures as PNG; that of training has a name."""
    evaluated, judged = result.evaluated, result.evaluated.evaluation
    images = result.extractor.dataset.images
    wrong = int((evaluated.predicted[0] != evaluated.predictions.labels).sum())
    counts = ", ".join(f"{count} {name}" for name, count in result.extractor.dataset.counts().items())
    return html.render(
        "training.html.j2",
        f"{'Training' if result.trained else 'Evaluation'} report: {result.extractor.dataset.name} ({counts})",
        conclusion=conclusion(result),
        test_set=f"{result.title}; metrics of {compared(judged)}",
        tiles=[(NAMES[name].name, metric) for name, metric in judged.metrics().items() if name != "accuracy"],
        size=(counted(len(evaluated.held_out), "image"), counted(result.n_patients["test"], "patient")),
        confusion=judged.confusion.tolist(),
        checks=worst_first(result.checks),
        groups=metric_groups(result),
        per_class=result.per_class,
        by_fold={NAMES[name].name: mean_and_sd(one) for name, one in run_record.by_fold(evaluated).items()},
        hold=HOLD[result.balanced] if result.trained or result.balanced else AS_GIVEN,
        recipes=recipes_of(result.comparison) if result.comparison else [],
        difference=difference_of(result.comparison) if result.comparison else "",
        misclassified=f"{wrong} of {len(result.order)} test images were misclassified.",
        upper_left=result.settings.get("pooling") == "tutorial",
        left_out=max(0, len(result.order) - html.MOST),
        cards=cards(result),
        classes=judged.classes,
        positive=judged.positive,
        threshold=html.shown_threshold(evaluated.threshold, judged.classes),
        folds=result.evaluation_options.folds,
        trained=result.trained,
        grad_cam=bool(result.grad_cam),
        notes=result.notes,
        plot=html.uri(history) if history else "",
        evaluation=html.uri(evaluation),
        plot_name=name,
        probe=result.trained and evaluated.head.strength is not None,
        json=json,
        subgroups=result.subgroups,
        meaning=overview.meaning(images),
        overview=overview.rows(images),
        characteristics=run_record.characteristics(images, result.sides),
        settings=html.shown_settings({**result.settings, **run_record.versions()}),
    )


def metric_groups(result: TrainingResult) -> list[tuple[str, list[dict[str, object]]]]:
    """Return the metrics in groups, each with what it says and its own reference."""
    metrics: dict[str, Metric] = {**result.evaluated.evaluation.metrics(), **result.metrics}
    return [
        (
            title,
            [
                {
                    "words": words,
                    "reference": words.reference.format(**result.shares),
                    "metric": metrics[key],
                    "drawn": key not in (BEYOND_BORDER, IN_THE_LARGE, SLOPE) and metrics[key].ci_low is not None,
                }
                for key, words in members.items()
                if key in metrics
            ],
        )
        for title, members in GROUPS
    ]


def cards(result: TrainingResult) -> list[dict[str, object]]:
    """Return the first test images, each with its Grad-CAM."""
    evaluated, extractor = result.evaluated, result.extractor
    classes = evaluated.evaluation.classes
    shown = result.order[: len(result.grad_cam) if result.trained else html.MOST]
    pictures = html.image_uris(extractor, evaluated.held_out[shown].tolist())
    heats: Sequence[np.ndarray | None] = [*result.grad_cam] or [None] * len(shown)
    found = []
    for position, heat, picture in zip(shown, heats, pictures, strict=True):
        row, predicted = evaluated.held_out[position], classes[int(evaluated.predicted[0][position])]
        probability = float(evaluated.probabilities[0][position, result.positive])
        image, properties = extractor.dataset.images[row], extractor.properties[row]
        found.append(
            {
                "file": image.file,
                "label": image.label,
                "label_index": classes.index(image.label),
                "predicted": predicted,
                "correct": predicted == image.label,
                "probability": probability if np.isfinite(probability) else None,
                "patient": run_record.short(str(extractor.patients[row])),
                "image": picture,
                "height": html.shown_height(properties.height / properties.width),
                "heat": "" if heat is None else html.heat_uri(heat),
                "row": {"file": image.file, "class": image.label, **image.row},
            }
        )
    return found
