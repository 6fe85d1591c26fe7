"""What a training run prints and writes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from detector.audit.checks import Check
from detector.audit.subgroups import Subgroup
from detector.command_line import Log
from detector.network import model
from detector.network.gradcam import heat_maps
from detector.reports import plots, run_record
from detector.reports.evaluation_figure import evaluation_figure
from detector.reports.training_report import training_page
from detector.statistics.metric import Metric
from detector.storage import files
from detector.training.evaluation_result import Outcome
from detector.training.extraction import FeatureExtractor
from detector.training.leave_one_out import LeftOut

NOTICE = "Educational software: never a diagnosis."
SETTINGS = (
    "recipe",
    "adjust",
    "class_weight",
    "epochs",
    "batch_size",
    "learning_rate",
    "rotations",
    "test_size",
    "pooling",
)
SETTINGS += ("positive", "seed", "folds", "repeats", "threshold", "sensitivity", "prevalence", "clinical")
SETTINGS += ("allow_missing_shortcut", "leave_one_source_out", "lungs")


def require_outputs(options: argparse.Namespace) -> None:
    """Refuse outputs that could not be written later.

    Raises
    ------
    InputError
    """
    files.require_outputs(
        {
            "--plot": options.plot,
            "--evaluation": options.evaluation,
            "--model": options.model,
            "--json": options.json,
            **({"--report": options.report} if options.report else {}),
        }
    )


def lines(
    options: argparse.Namespace,
    extractor: FeatureExtractor,
    outcome: Outcome,
    metrics: dict[str, Metric],
    table: Sequence[Subgroup],
) -> list[str]:
    """Return what is printed of a run's evaluation."""
    found = run_record.lines(outcome.evaluation, outcome.predictions.labels, outcome.predicted[0])
    at = f" at prevalence {options.prevalence}"
    found += [f"roc_auc: {outcome.evaluation.roc_auc}"]
    found += [f"{name}: {metric}{at if name in ('ppv', 'npv') else ''}" for name, metric in metrics.items()]
    found += run_record.operating_point(options.sensitivity, outcome)
    return [*found, "Subgroups", *(f"  {row}" for row in table)] if table else found


def save(
    options: argparse.Namespace,
    split: str,
    extractor: FeatureExtractor,
    outcome: Outcome,
    metrics: dict[str, Metric],
    table: Sequence[Subgroup],
    left_out: Sequence[LeftOut],
    checks: Sequence[Check],
    log: Log,
) -> None:
    """Write plot, evaluation, model and record: all of them, or none."""
    log.info("saving...")
    with log.timed("save"):
        fitted, result = outcome.fitted, outcome.evaluation
        classes = result.classes
        positive = classes.index(result.positive)
        description = model.Description(
            classes,
            result.positive,
            options.recipe,
            options.pooling,
            outcome.threshold,
            fitted.columns,
            input="lungs" if options.lungs == "only" else "image",
        )
        joined = model.join(extractor.backbone.weights, fitted.trained.weights, description)
        held_out, probabilities = outcome.held_out, outcome.probabilities[0]
        patients = {
            side: len(set(extractor.patients[rows]))
            for side, rows in (("train", outcome.train), ("held_out", held_out))
        }
        record = {
            "notice": NOTICE,
            "versions": run_record.versions(),
            "settings": {name: getattr(options, name) for name in SETTINGS} | {"split": split},
            "base": run_record.base(extractor),
            "classes": classes,
            "train": run_record.images(extractor, outcome.train),
            "held_out": run_record.predictions(extractor, held_out, probabilities, classes),
            "patients": patients,
            "threshold": outcome.threshold,
            "metrics": run_record.fields_of(result) | metrics,
            "subgroups": table,
            "sources_left_out": left_out,
            "checks": checks,
            "history": fitted.trained.history,
        }
        truth = extractor.dataset.labels[held_out] == positive
        title = f"Held-out images: {len(held_out)} of {patients['held_out']} patients"
        if options.folds:
            title = (
                f"{options.folds} folds: each of {len(held_out)} images, {patients['held_out']} patients, judged unseen"
            )
        scores = probabilities[:, positive]
        contents = {
            options.plot: plots.history(fitted.trained.history),
            options.evaluation: evaluation_figure(
                result, metrics, scores, truth, extractor.patients[held_out], title, options.seed
            ),
            options.model: model.as_file(joined, description, options.model.suffix),
            options.json: run_record.as_json(record | {"times": log.seconds}),
        }
        if options.report:
            # Of a model that looks at lungs only: what it does with what it is shown.
            looking = joined
            if description.input == "lungs":
                looking = model.join(
                    extractor.backbone.weights, fitted.trained.weights, replace(description, input="image")
                )
            contents[options.report] = training_page(
                extractor,
                outcome,
                metrics,
                table,
                checks,
                heat_maps(looking),
                record["settings"] | run_record.versions(),
                (contents[options.plot], contents[options.evaluation]),
                (options.plot.name, options.json.name),
            )
        files.write_together(contents)
    log.info(f"wrote {', '.join(map(str, contents))}")
