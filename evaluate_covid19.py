"""Evaluate a saved model, or the predictions of any program, on a labelled folder of chest radiographs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detector import InputError, counted, first_names
from detector.audit.checks import judge
from detector.cli.arguments import column_names, flag, parse
from detector.cli.output import Log
from detector.cli.run import run
from detector.datasets import dataset, overview
from detector.datasets.dataset import Dataset, class_named
from detector.files.atomic import require_folder, require_outputs
from detector.files.tables import folded
from detector.inference.evaluate import TableOfPredictions, read_predictions
from detector.network import model_file
from detector.network.backbone import DIGEST, digest, read_decoder
from detector.network.head import TrainedHead
from detector.network.model_file import shortened
from detector.reports import html, run_record, training_report
from detector.reports.training_report import TrainingResult
from detector.statistics.auc import Scores
from detector.statistics.evaluation import predict
from detector.training.crossvalidation import (
    EvaluatedHead,
    RecipeComparison,
    compared,
    evaluate_once,
    grad_cam,
    most_confident_errors_first,
)
from detector.training.dataset import (
    FeatureExtractor,
    ImplausibleImage,
    find_implausible,
    implausible_among,
    open_dataset,
    without_implausible,
)
from detector.training.options import DATA, MODEL, OUTPUTS, EvaluationOptions, OutcomeOptions, RunOptions
from detector.training.recipes import RECIPES

EXAMPLE = "python evaluate_covid19.py -d labelled_folder -m covid19.model.h5 -o evaluation"


@dataclass(frozen=True, kw_only=True)
class FolderOptions(OutcomeOptions, RunOptions):
    """What is evaluated, on which images, and where the result goes."""

    positive_class: str | None = flag(
        DATA, None, "class whose sensitivity is reported (default: the model's, or covid)", metavar="CLASS"
    )
    model: Path = flag(
        MODEL, Path("covid19.model.h5"), "a model that train_covid19.py saved", "-m", metavar="FILE", either="what"
    )
    predictions: Path | None = flag(
        MODEL,
        None,
        "instead: CSV of column file and p(CLASS) or CLASS for each class (of two, one is enough), or prediction",
        type=Path,
        metavar="CSV",
        either="what",
    )
    compare: Path | None = flag(
        MODEL, None, "CSV of other predictions: the difference in ROC AUC", type=Path, metavar="CSV"
    )
    logits: bool = flag(MODEL, False, "the numbers of the CSV (with --compare: of both) are logits")
    mean: bool = flag(MODEL, False, "average several predictions of an image")
    classes: tuple[str, ...] = flag(
        MODEL, (), "classes in the order of the outputs, of a model that Keras saved", type=column_names, metavar="A,B"
    )
    output_dir: Path = flag(
        OUTPUTS, Path("evaluation"), "evaluation.json, evaluation.png, report.html", "-o", metavar="DIR"
    )

    def __post_init__(self) -> None:
        """Reject flags that contradict each other."""
        super().__post_init__()
        if self.target_sensitivity is not None:
            raise InputError(
                "--target-sensitivity: a threshold that is chosen on the images it is tested on looks better than it "
                "is; choose it in training (train_covid19.py --target-sensitivity), and give it with --threshold"
            )
        if not self.predictions and not self.compare and (self.logits or self.mean):
            raise InputError("--logits and --mean are about a CSV; give it with --predictions")

    def table(self, path: Path, name: str, images: Dataset) -> TableOfPredictions:
        """Read a table of predictions of a folder's images."""
        files = [image.file for image in images.images]
        return read_predictions(path, files, images.classes, name, self.logits, self.mean)


class Tested(NamedTuple):
    """The predictions of a folder's images, and what a report says of them beside.

    Attributes
    ----------
    extractor : FeatureExtractor
        Of the images that have a prediction.
    left_out : dict of str to list of str
        Images, and rows of a table, that were not used.
    notes : list of str
        The same in sentences.
    """

    extractor: FeatureExtractor
    evaluated: EvaluatedHead
    implausible: list[ImplausibleImage]
    settings: dict[str, object]
    left_out: dict[str, list[str]]
    notes: list[str]


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    what = "Evaluate a saved model, or the predictions of any program, on a labelled folder."
    options = parse(FolderOptions, what, EXAMPLE, arguments)
    log, folder = Log(options.quiet), options.output_dir
    require_folder(folder)
    names = training_report.OUTPUTS.items()
    outputs = {flag: folder / name for flag, name in names if not (options.no_report and flag == "--report")}
    require_outputs({f"--output-dir ({path.name})": path for path in outputs.values()})
    images = dataset.load(options.dataset, options.patient_from)
    given = options.predictions
    tested = of_table(options, given, images, log) if given else of_model(options, images, log)
    extractor, evaluated = tested.extractor, tested.evaluated
    for note in tested.notes:
        log.info(note)
    overview.report(log, extractor.dataset.images)
    positive = extractor.dataset.classes.index(evaluated.evaluation.positive)
    comparison = compared_with_table(options, extractor, evaluated, positive, log) if options.compare else None
    with log.timed("evaluate"):
        balanced = tested.settings["class_weight"] == "balanced"
        worth = judge(extractor, evaluated, options.seed, balanced, options.prevalence, None, tested.implausible)
    order = most_confident_errors_first(evaluated)
    with log.timed("Grad-CAM"):
        shown = order[: html.MOST] if evaluated.head.weights and "--report" in outputs else order[:0]
        maps = grad_cam(evaluated, extractor, shown)
    result = TrainingResult(
        extractor=extractor,
        evaluated=evaluated,
        worth=worth,
        order=order,
        grad_cam=maps,
        evaluation_options=EvaluationOptions(threshold=evaluated.threshold, prevalence=options.prevalence),
        settings=tested.settings | {"prevalence": options.prevalence, "seed": options.seed},
        times=log.seconds,
        comparison=comparison,
        implausible=tested.implausible,
        inputs=tested.left_out,
        notes=tested.notes,
    )
    training_report.show(result)
    with log.timed("save"):
        run_record.save(training_report.contents(result, outputs), log)
    log.report_times(options.timings)
    training_report.close(result, outputs)
    return 0


def of_table(options: FolderOptions, path: Path, images: Dataset, log: Log) -> Tested:
    """Read the predictions of another program, and the images that they are of; no network is used."""
    table = options.table(path, "--predictions", images)
    positive = class_named(images.classes, options.positive_class or "covid", options.dataset)
    kept = only(images, set(table.files), f"with the predictions of {path} alone")
    extractor, everything = open_dataset(kept, log, None, options), range(len(kept.images))
    implausible, _ = find_implausible(extractor, everything, [None] * len(everything), leave_out=False)
    probabilities, notes = table.probabilities, list(table.notes)
    threshold = table.threshold if options.threshold is None else options.threshold
    if options.threshold is not None and np.isnan(probabilities).any():
        raise InputError(f"--threshold needs probabilities, and {path} has decisions only; leave it out")
    decisions = predict(probabilities, kept.classes.index(positive), threshold)
    if options.threshold is None and table.decisions is not None:
        decisions, threshold = table.decisions, None
        notes.append(f"classes are those of the column prediction of {path.name}")
    evaluated = evaluate_once(extractor, probabilities, decisions, positive, threshold)
    # Whether the classes counted equally is not known: they are not weighed.
    settings: dict[str, object] = {"predictions": path.name, "threshold": threshold, "class_weight": "none"}
    without = [image.file for image in images.images if image.file not in set(table.files)]
    left_out = {"images_without_prediction": without, "rows_without_image": table.unused}
    return Tested(extractor, evaluated, implausible, settings, left_out, notes)


def only(images: Dataset, files: set[str], what: str) -> Dataset:
    """Return some of a folder's images; reject them where a class has none left."""
    kept = replace(images, images=[image for image in images.images if image.file in files])
    if missing := [name for name, count in kept.counts().items() if not count]:
        raise InputError(f"{what}, no image of {first_names(missing)} is left; metrics need images of every class")
    return kept


def of_model(options: FolderOptions, images: Dataset, log: Log) -> Tested:
    """Predict the images of a folder with a saved model, but those that it was trained on."""
    path, saved = options.model, model_file.read(options.model, options.classes)
    description, threshold = saved.description, saved.description.threshold
    images = in_order(images, description.classes, path)
    own = class_named(images.classes, description.positive, options.dataset)
    positive = class_named(images.classes, options.positive_class or own, options.dataset)
    if options.threshold is not None or positive != own:  # the model's is one of its own class's probability
        threshold = options.threshold
    if digest(saved.weights) != DIGEST or (saved.decoder and digest(saved.decoder) != digest(read_decoder())):
        raise InputError(
            f"model {path} has another base or lung decoder than this version; predict with predict_covid19.py --csv, "
            "and evaluate that with --predictions"
        )
    columns = [str(column["name"]) for column in description.clinical]
    if columns and not any(name in image.row for image in images.images for name in columns):
        raise InputError(f"model {path} takes {', '.join(columns)}, and no manifest of {options.dataset} has them")
    extractor = open_dataset(
        images, log, RECIPES[description.recipe](pooling=description.pooling), options, saved.weights
    )

    notes = [text for text in (saved.note, description.summary and description.summary.conclusion) if text]
    trained = set(description.training_images)
    seen = np.array([shortened(one.digest) in trained for one in extractor.properties])
    gone = [image.file for image, one in zip(images.images, seen, strict=True) if one]
    if gone:
        count = counted(len(gone), "image")
        notes.append(f"left out: {count} that the model was trained on ({first_names(gone)})")
        others = {image.file for image in images.images} - {*gone}
        only(images, others, f"without the {count} that {path} was trained on")
        extractor = extractor.subset(np.flatnonzero(~seen))
    if description.pooling == "lungs":
        extractor, implausible = without_implausible(extractor)
    with log.timed("forward"):
        features = extractor.features()
    if description.pooling != "lungs":
        implausible = implausible_among(extractor, np.arange(len(features)), 0, options.seed)
    fitted = TrainedHead(saved.head, columns=description.clinical)
    probabilities = fitted.predict_proba(features, [image.row for image in extractor.dataset.images])
    decisions = predict(probabilities, images.classes.index(positive), threshold)
    evaluated = evaluate_once(extractor, probabilities, decisions, positive, threshold, fitted)
    weight = "none" if description.summary and description.summary.balanced is False else "balanced"
    settings: dict[str, object] = {"model": path.name, "recipe": description.recipe, "pooling": description.pooling}
    settings |= {"clinical_columns": columns, "class_weight": weight, "threshold": threshold}
    return Tested(extractor, evaluated, implausible, settings, {"training_images_left_out": gone}, notes)


def in_order(images: Dataset, classes: list[str], path: Path) -> Dataset:
    """Return a folder's images with its classes in the order of a model's; reject other classes."""
    names = {folded(name): name for name in images.classes}
    if {folded(name) for name in classes} != set(names):
        raise InputError(
            f"model {path} predicts {', '.join(classes)}, and the classes of the folder are "
            f"{first_names(images.classes, 10)}; give a folder of the model's classes"
        )
    return replace(images, classes=[names[folded(name)] for name in classes])


def compared_with_table(
    options: FolderOptions, extractor: FeatureExtractor, evaluated: EvaluatedHead, positive: int, log: Log
) -> RecipeComparison:
    """Return the difference in ROC AUC to other predictions, on the images that have both."""
    path, images = options.compare or Path(), extractor.dataset
    other, own = options.table(path, "--compare", images), evaluated.predictions.scores(positive)
    for note in other.notes:
        log.info(note)
    rows = np.flatnonzero(np.isin([image.file for image in images.images], other.files))
    one, others = (
        Scores(scores, own.is_positive[rows], own.patients[rows], own.folds[:, rows])
        for scores in (own.scores[:, rows], other.probabilities[None, :, positive])
    )
    return compared(((options.predictions or options.model).name, path.name), one, others, options.seed)


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
