"""A training run: its result, what is printed, its JSON record and its HTML report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from detector import counted
from detector.audit.checks import Judgement, precision, worst_first
from detector.cli.output import BAD, GOOD, say, wrapped
from detector.datasets import overview
from detector.network.model_file import ClassCount, TrainingSummary
from detector.reports import figures, html, run_record
from detector.reports.text import (
    AS_GIVEN,
    GROUPS,
    HOLD,
    NAMES,
    Table,
    check_lines,
    closing_lines,
    compared,
    metric_cells,
    table,
)
from detector.statistics.evaluation import Evaluation, evaluate
from detector.statistics.metric import Metric
from detector.training.crossvalidation import EvaluatedHead, RecipeComparison
from detector.training.dataset import FeatureExtractor, ImplausibleImage
from detector.training.options import EvaluationOptions

ONE_CLASS = ("sensitivity", "specificity", "roc_auc")  # metrics of one class against the others
# Of a run without training.
OUTPUTS = {"--json": "evaluation.json", "--evaluation-plot": "evaluation.png", "--report": "report.html"}
UNCLEAR = "The interval contains 0: no difference is shown."
WORDS = {"tutorial": "tutorial", "probe": "linear probe"}


@dataclass(frozen=True)
class TrainingResult:
    """Everything that a training run has computed, or a run without training.

    `order` is that of the test images in a report, and `grad_cam`, (14, 14), is of the first of these; `times` are
    seconds of each stage. Of a run without training, `inputs` and `notes` say what was tested and what was left out.
    """

    extractor: FeatureExtractor
    evaluated: EvaluatedHead
    worth: Judgement
    order: np.ndarray
    grad_cam: list[np.ndarray]
    evaluation_options: EvaluationOptions
    settings: Mapping[str, object]
    times: Mapping[str, float]
    left_out: Mapping[str, Evaluation] = field(default_factory=dict)
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
        labels, classes = self.evaluated.predictions.labels, self.evaluated.evaluation.classes
        shares = np.bincount(labels, minlength=len(classes)) / len(labels)
        share = float(shares[self.positive])
        # A constant is best at the frequency at which the Brier score counts the class.
        constant = 0.5 if self.balanced else share
        at = self.evaluation_options.prevalence
        return {"prevalence": share, "no_skill": constant * (1 - constant), "majority": float(shares.max()), "at": at}

    @property
    def title(self) -> str:
        """The test set in words."""
        images, patients = len(self.evaluated.held_out), self.n_patients["test"]
        both = f"{counted(images, 'image')} from {counted(patients, 'patient')}"
        folds = self.evaluation_options.folds
        return f"{folds}-fold cross-validation: {both}" if folds else f"Test set: {both}"

    @cached_property
    def per_class(self) -> dict[str, dict[str, Metric]]:
        """Metrics of each of more than two classes against the others."""
        classes = self.evaluated.evaluation.classes
        if len(classes) == 2:
            return {}
        found = [evaluate(self.evaluated.predictions, classes, index).metrics() for index in range(len(classes))]
        return {name: {key: metrics[key] for key in ONE_CLASS} for name, metrics in zip(classes, found, strict=True)}

    @property
    def by_fold(self) -> str:
        """Mean and standard deviation over the folds, in words; empty for a single model."""
        found = run_record.by_fold(self.evaluated).items()
        said = ", ".join(f"{NAMES[name].name} {one['mean']:.2f} ± {one['sd']:.2f}" for name, one in found)
        return f"Mean ± SD over the folds: {said}" if said else ""

    @cached_property
    def tables(self) -> list[Table]:
        """What the terminal and the report show beside the metrics of the positive class; some have no rows."""
        metrics = [NAMES[name].name for name in ONE_CLASS]
        counts = Counter(one.property for one in self.worth.subgroups)
        # A property with one value says nothing that the metrics of all images do not say.
        groups = [
            [f"{one.property} {one.value}", one.sensitivity, one.specificity, one.roc_auc, one.n_images]
            for one in self.worth.subgroups
            if counts[one.property] > 1
        ]
        sites = [[site, one.sensitivity, one.specificity, one.roc_auc] for site, one in self.left_out.items()]
        found = [
            Table("Each class v others", metrics, [[name, *row.values()] for name, row in self.per_class.items()]),
            Table("Subgroups", [*metrics, "images"], groups),
            Table("Site left out of training", metrics, sites),
        ]
        return [comparison_table(self.comparison), *found] if self.comparison else found


def lines(result: TrainingResult) -> list[str]:
    """Return what is printed of a run's evaluation: the tutorial's lines, then the metrics."""
    evaluated, evaluation = result.evaluated, result.evaluated.evaluation
    repeats = len(evaluated.predictions.predicted)
    found = [f"Classification report and confusion matrix of the first of {repeats} repeats:"] if repeats > 1 else []
    found += run_record.lines(evaluation, evaluated.predictions.labels, evaluated.predictions.predicted[0])
    for text in run_record.operating_point(result.evaluation_options.target_sensitivity, evaluated):
        found += wrapped(text, rest="  ")
    rows: list[list[object]] = [["metric", "value", "95 % CI", ""]]
    for name, metric in {"roc_auc": evaluation.roc_auc, **result.worth.metrics}.items():
        rows.append([NAMES[name].name, *metric_cells(metric, NAMES[name].beside(result.shares))])
    found += ["", *wrapped(f"{result.title}; metrics of {compared(evaluation)}", rest="  "), "", *table(rows)]
    found += ["", *wrapped(result.by_fold, rest="  ")] if result.by_fold else []
    return [*found, *(line for one in result.tables for line in one.lines())]


def show(result: TrainingResult) -> None:
    """Print a run's evaluation, how precise it is, and the checks that warn."""
    say("\n".join([*lines(result), "", precision(result.evaluated.evaluation), ""]))
    for line in check_lines(result.worth.checks):
        say(line, BAD if line.startswith("  ") else "")


def close(result: TrainingResult, outputs: Mapping[str, Path]) -> None:
    """Print a run's result in a sentence, what to do about it, and where its report is."""
    found = result.worth.conclusion
    say("\n".join(closing_lines(found.recommendation, found.message)), BAD if found.warns else GOOD)
    if "--report" in outputs:
        say(f"Report: {outputs['--report']}")


def comparison_table(comparison: RecipeComparison) -> Table:
    """Return both recipes with their ROC AUC, and the difference in a sentence."""
    one, other = recipe_title(comparison.recipe), recipe_title(comparison.compared_with)
    difference = comparison.difference
    sign = "+" if difference.available and difference.point > 0 else ""
    remark = f". {UNCLEAR}" if difference.available and difference.low <= 0 <= difference.high else ""
    rows = [[one, comparison.roc_auc], [other, comparison.compared_roc_auc]]
    said = f"{one} minus {other}: {sign}{difference.short}{remark}"
    return Table("Comparison on the same images", [NAMES["roc_auc"].name], rows, [said])


def recipe_title(name: str) -> str:
    """Return a recipe such as ``"probe:lungs"`` in words; the tutorial's own pooling is not named."""
    recipe, _, pooling = name.partition(":")
    if recipe not in WORDS:  # a file of predictions
        return name
    return WORDS[recipe] if recipe == pooling else f"{WORDS[recipe]} ({pooling})"


def record(result: TrainingResult) -> dict[str, object]:
    """Return the run as it stands in its JSON file."""
    evaluated, extractor, head = result.evaluated, result.extractor, result.evaluated.head
    chosen = {} if head.strength is None else {"chosen": head.strength}
    return {
        **run_record.header(),
        "settings": result.settings,
        "base": run_record.BASE if extractor.backbone.weights else None,
        "classes": evaluated.evaluation.classes,
        "train": run_record.images(extractor, evaluated.train),
        "held_out": run_record.predictions(extractor, evaluated),
        "implausible_images": result.implausible,
        "n_patients": result.n_patients,
        "threshold": evaluated.threshold,
        "metrics": {
            "confusion": evaluated.evaluation.confusion,
            **evaluated.evaluation.metrics(),
            **result.worth.metrics,
        },
        "per_class": result.per_class,
        "folds": run_record.by_fold(evaluated),
        "comparison": result.comparison,
        "subgroups": result.worth.subgroups,
        "sites_left_out": [
            {"site": site, "roc_auc": one.roc_auc, "sensitivity": one.sensitivity, "specificity": one.specificity}
            for site, one in result.left_out.items()
        ],
        "checks": result.worth.checks,
        "conclusion": result.worth.conclusion,
        "history": head.history | chosen,
        "times": result.times,
        **result.inputs,
    }


def summary(result: TrainingResult) -> TrainingSummary:
    """Return what the model's file keeps of the run."""
    dataset, patients, train = result.extractor.dataset, result.extractor.patients, result.evaluated.train
    counts = []
    for index, name in enumerate(dataset.classes):
        own = train[dataset.labels[train] == index]
        counts.append(ClassCount(name, len(own), len(set(patients[own]))))
    warned = tuple(check.title for check in result.worth.checks if check.warns)
    roc_auc = str(result.evaluated.evaluation.roc_auc)
    named = dataset.name, html.created(), tuple(counts), result.title, roc_auc, warned
    return TrainingSummary(*named, balanced=result.balanced, conclusion=result.worth.conclusion.for_use)


def contents(result: TrainingResult, outputs: Mapping[str, Path], model: bytes = b"") -> dict[Path, bytes]:
    """Return the bytes of every output, by its flag; a run without training has no `--plot` and no `--model`."""

    # A report shows both as PNG, which mostly are the files themselves: each is drawn once.
    @cache
    def history(suffix: str) -> bytes:
        return figures.history(result.evaluated.head, suffix)

    @cache
    def evaluation(suffix: str) -> bytes:
        return figures.evaluation_figure(result.evaluated, result.worth.metrics, result.title, result.balanced, suffix)

    figure, plot, json = outputs["--evaluation-plot"], outputs.get("--plot"), outputs["--json"]
    found = {plot: history(plot.suffix), outputs["--model"]: model} if plot else {}
    found |= {figure: evaluation(figure.suffix), json: run_record.as_json(record(result))}
    if "--report" in outputs:
        curves = history(".png") if plot else b""
        found[outputs["--report"]] = training_report(result, json.name, evaluation(".png"), curves)
    return found


def training_report(result: TrainingResult, json: str, evaluation: bytes, history: bytes) -> bytes:
    """Return the HTML report, given the name of the JSON file, and the figures as PNG."""
    evaluated, judged = result.evaluated, result.evaluated.evaluation
    images = result.extractor.dataset.images
    counts = ", ".join(f"{count} {name}" for name, count in result.extractor.dataset.counts().items())
    return html.render(
        "training.html.j2",
        f"{'Training' if result.trained else 'Evaluation'} report: {result.extractor.dataset.name} ({counts})",
        result=result,
        judged=judged,
        pair=compared(judged),
        names=NAMES,
        groups=GROUPS,
        metrics={**judged.metrics(), **result.worth.metrics},
        checks=worst_first(result.worth.checks),
        hold=HOLD[result.balanced] if result.trained or result.balanced else AS_GIVEN,
        wrong=int((evaluated.predictions.predicted[0] != evaluated.predictions.labels).sum()),
        left_out=max(0, len(result.order) - html.MOST),
        cards=cards(result),
        threshold=html.shown_threshold(evaluated.threshold, judged.classes),
        plot=html.uri(history) if history else "",
        evaluation=html.uri(evaluation),
        probe=result.trained and evaluated.head.strength is not None,
        json=json,
        meaning=overview.meaning(images),
        overview=overview.rows(images),
        characteristics=run_record.characteristics(images, result.sides),
        settings={**result.settings, **run_record.versions()},
    )


def cards(result: TrainingResult) -> list[html.Card]:
    """Return the first test images, each with its Grad-CAM."""
    evaluated, extractor = result.evaluated, result.extractor
    classes = evaluated.evaluation.classes
    shown = result.order[: len(result.grad_cam) if result.trained else html.MOST]
    pictures = html.image_uris(extractor, evaluated.held_out[shown].tolist())
    heats: Sequence[np.ndarray | None] = [*result.grad_cam] or [None] * len(shown)
    found = []
    for position, heat, picture in zip(shown, heats, pictures, strict=True):
        row, predicted = evaluated.held_out[position], classes[int(evaluated.predictions.predicted[0][position])]
        probability = float(evaluated.predictions.probabilities[0][position, result.positive])
        image, properties = extractor.dataset.images[row], extractor.properties[row]
        card = html.Card(
            file=image.file,
            picture=picture,
            aspect=properties.height / properties.width,
            heat=html.heat_uri(heat),
            label=classes.index(image.label),
            said=[f"True: {image.label}", f"Predicted: {predicted}"],
            probability=probability if np.isfinite(probability) else None,
            below=f"patient {extractor.patients[row]}",
            details={"file": image.file, "class": image.label, **image.row},
            answer="right" if predicted == image.label else "wrong",
        )
        found.append(card)
    return found
