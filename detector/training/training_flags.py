"""All flags of a training run, and the settings that they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli.arguments import (
    Parser,
    add_common,
    add_output_dir,
    add_report,
    between,
    column_names,
    output_of,
    whole_number,
)
from detector.cluster.flags import add_ray, compute_options
from detector.training.flags import add_compare, add_recipe, model_options

if TYPE_CHECKING:
    from detector.training.options import DataOptions, EvaluationOptions, TrainingOptions
    from detector.training.output_paths import OutputPaths


def add_training(parser: Parser) -> None:
    """Add the flags of a training run."""
    add_data(parser)
    add_recipe(parser)
    add_evaluation(parser)
    add_outputs(parser)
    add_common(parser, tensorflow=True)
    add_ray(parser)


def training_options(options: argparse.Namespace) -> TrainingOptions:
    """Return what the flags of `add_training` say.

    Raises
    ------
    InputError
        If flags contradict each other.
    """
    from detector.training.options import TrainingOptions

    return TrainingOptions(
        data_options(options),
        model_options(options, options.input == "lungs", options.compare),
        evaluation_options(options),
        compute_options(options),
        output_options(options),
        options.quiet,
        options.timings,
    )


def add_data(parser: Parser) -> None:
    """Add the flags that say which images are used, and how."""
    data = parser.group("data")
    data.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    data.add_argument("--positive-class", default="covid", metavar="CLASS", help="class whose sensitivity is reported")
    data.add_argument("--input", choices=["image", "lungs"], default="image", help="lungs: mask out everything else")
    data.add_argument("--clinical-columns", type=column_names, default=(), metavar="COLUMN,…", help="of manifest.csv")
    data.add_argument(
        "--allow-informative-missingness", action="store_true", help="train even if missing values predict the class"
    )


def data_options(options: argparse.Namespace) -> DataOptions:
    """Return what the flags of `add_data` say."""
    from detector.training.options import DataOptions

    return DataOptions(
        options.dataset,
        options.positive_class,
        options.input,
        options.clinical_columns,
        options.allow_informative_missingness,
    )


def add_evaluation(parser: Parser) -> None:
    """Add the flags that say on which images, and at which threshold, a model is evaluated."""
    evaluation = parser.group("evaluation")
    evaluation.add_argument("--test-size", type=between(0, 1), default=0.2, metavar="X", help="share of test images")
    evaluation.add_argument("--split", choices=["patient", "image"], help="unit kept together (default: patient)")
    evaluation.add_argument("--folds", type=whole_number(2), metavar="K", help="cross-validate, then train on all")
    evaluation.add_argument("--repeats", type=whole_number(1), default=1, metavar="R", help="of the cross-validation")
    evaluation.add_argument("--leave-one-site-out", action="store_true", help="also test on each site in turn")
    add_compare(parser)
    point = evaluation.add_mutually_exclusive_group()
    point.add_argument("--threshold", type=between(0, 1), metavar="X", help="predict positive from this probability on")
    point.add_argument(
        "--target-sensitivity",
        type=between(0, 1),
        metavar="X",
        help="choose the threshold that reaches this sensitivity",
    )
    evaluation.add_argument(
        "--prevalence", type=between(0, 1), metavar="X", help="report PPV and NPV at this prevalence"
    )


def evaluation_options(options: argparse.Namespace) -> EvaluationOptions:
    """Return what the flags of `add_evaluation` say."""
    from detector.training.crossvalidation import OperatingPoint
    from detector.training.options import EvaluationOptions

    return EvaluationOptions(
        options.seed,
        options.split,
        options.test_size,
        options.folds,
        options.repeats,
        OperatingPoint(options.threshold, options.target_sensitivity),
        options.prevalence,
        options.leave_one_site_out,
    )


def add_outputs(parser: Parser) -> None:
    """Add the flags that say where a training run writes, and what it prints."""
    outputs = add_output_dir(parser, "all outputs (default: beside the model and the plot)")
    outputs.add_argument("-p", "--plot", type=Path, metavar="FILE", help="learning curves (default: NAME.plot.png)")
    outputs.add_argument(
        "-m",
        "--model",
        type=Path,
        metavar="FILE",
        help="NAME.h5 or NAME.keras (default: covid19.model.h5, whose plots and report lack NAME.)",
    )
    outputs.add_argument(
        "--evaluation-plot", type=Path, metavar="FILE", help="default: NAME.evaluation.png beside the plot"
    )
    outputs.add_argument("--json", type=output_of(".json"), metavar="FILE", help="default: NAME.json beside the model")
    outputs.add_argument("--timings", action="store_true", help="print the time that each stage took")
    add_report(parser, "NAME.report.html beside the plot; without NAME. for covid19.model.h5")


def output_options(options: argparse.Namespace) -> OutputPaths:
    """Return where the flags of `add_outputs` say that a run writes."""
    from detector.training.output_paths import NamedOutputs, output_paths

    given = NamedOutputs(
        options.output_dir, options.plot, options.evaluation_plot, options.model, options.json, options.report
    )
    return output_paths(given, not options.no_report)
