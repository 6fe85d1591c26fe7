"""Train a COVID-19 classifier on chest radiographs, on a frozen VGG16, and check what the result is worth."""

from __future__ import annotations

import argparse
import functools
from dataclasses import replace
from pathlib import Path

from detector.cluster.flags import add_ray, compute_options
from detector.command_line.arguments import (
    Parser,
    add_common,
    add_output_dir,
    add_report,
    between,
    column_names,
    output_of,
    whole_number,
)
from detector.command_line.exit_status import run
from detector.command_line.printing import BAD, Log, epoch_printer, say
from detector.training.flags import add_compare, add_recipe, compared_recipe_from, recipe_from

EXAMPLE = "python train_covid19.py -d dataset -p plot.png -m covid19.model.h5"
SETTINGS: tuple[str, ...] = ("recipe", "pooling", "adjust", "class_weight", "epochs", "batch_size", "learning_rate")
SETTINGS += ("rotations", "input", "test_size", "positive_class", "seed", "folds", "repeats", "threshold")
SETTINGS += ("target_sensitivity", "prevalence", "clinical_columns", "allow_informative_missingness")
SETTINGS += ("leave_one_site_out", "compare")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser("Train a COVID-19 classifier on class folders of chest radiographs.", EXAMPLE)
    data = parser.group("data")
    data.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    data.add_argument("--positive-class", default="covid", metavar="CLASS", help="class whose sensitivity is reported")
    data.add_argument("--input", choices=["image", "lungs"], default="image", help="lungs: mask out everything else")
    data.add_argument("--clinical-columns", type=column_names, default=(), metavar="COLUMN,…", help="of manifest.csv")
    data.add_argument(
        "--allow-informative-missingness", action="store_true", help="train even if missing values predict the class"
    )
    add_recipe(parser)
    evaluation = parser.group("evaluation")
    evaluation.add_argument("--test-size", type=between(0, 1), default=0.2, metavar="X", help="share of test images")
    evaluation.add_argument("--split", choices=["patient", "image"], help="unit kept together (default: patient)")
    evaluation.add_argument("--folds", type=whole_number(2), metavar="K", help="cross-validate, then train on all")
    evaluation.add_argument("--repeats", type=whole_number(1), default=1, metavar="R", help="of the cross-validation")
    evaluation.add_argument("--leave-one-site-out", action="store_true", help="also test on each site in turn")
    add_compare(parser)
    point = evaluation.add_mutually_exclusive_group()
    point.add_argument("--threshold", type=between(0, 1), metavar="X", help="predict positive from this probability on")
    point.add_argument("--target-sensitivity", type=between(0, 1), metavar="X", help="choose the threshold for this")
    evaluation.add_argument("--prevalence", type=between(0, 1), metavar="X", help="at which PPV and NPV are reported")
    outputs = add_output_dir(parser, "all outputs (default: beside the model and the plot)")
    outputs.add_argument("-p", "--plot", type=Path, metavar="FILE", help="learning curves (default: plot.png)")
    outputs.add_argument("-m", "--model", type=Path, metavar="FILE", help="HDF5 or .keras (default: covid19.model.h5)")
    outputs.add_argument("--evaluation-plot", type=Path, metavar="FILE", help="default: evaluation.png beside the plot")
    outputs.add_argument(
        "--json", type=output_of(".json"), metavar="FILE", help="default: covid19.json beside the model"
    )
    outputs.add_argument("--timings", action="store_true", help="print the time that each stage took")
    add_report(parser, "report.html beside the plot")
    add_common(parser, tensorflow=True)
    add_ray(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.audit.checks import Run
    from detector.audit.metrics import Setting, compute_metrics
    from detector.audit.subgroups import subgroups
    from detector.audit.validity import run_checks
    from detector.datasets import overview
    from detector.network.keras_file import as_file
    from detector.reports import html_report, training_outputs
    from detector.reports.training_outputs import TrainingResult
    from detector.storage.files import require_outputs, write_together
    from detector.training import pipeline, recipe_comparison, trained_model
    from detector.training.crossvalidation import OperatingPoint
    from detector.training.evaluation_result import TrainingProtocol
    from detector.training.opening import open_dataset
    from detector.training.options import DataOptions, EvaluationOptions, Given, output_paths

    recipe = recipe_from(options)
    other = compared_recipe_from(options)
    data = DataOptions(
        options.dataset,
        options.positive_class,
        options.input,
        options.clinical_columns,
        options.allow_informative_missingness,
    )
    point = OperatingPoint(options.threshold, options.target_sensitivity)
    evaluation = EvaluationOptions(
        options.seed, options.split, options.test_size, options.folds, options.repeats, point, options.prevalence
    )
    files = options.output_dir, options.plot, options.evaluation_plot, options.model, options.json, options.report
    outputs = output_paths(Given(*files), not options.no_report)
    outputs.require_suffixes()
    require_outputs(outputs.by_flag())

    images, positive_class = pipeline.load_images(data)
    positive = images.classes.index(positive_class)
    extractor = open_dataset(images, log, recipe, compute_options(options))
    strictest = other if other and other.pooling == "lungs" else recipe  # both are evaluated on the same images
    extractor, implausible = pipeline.leave_out_implausible(data, strictest, extractor)
    overview.tell(log, overview.of_images(extractor.dataset.images))
    split = pipeline.choose_split(evaluation, extractor)
    recipe = pipeline.decide_adjustment(recipe, options.adjust, extractor, split)
    shared = options.adjust, options.precision
    second = recipe_comparison.prepare(other, recipe, extractor, split, shared) if other else None
    samples = pipeline.compute_features(data, recipe, extractor, split, evaluation.seed)
    if not pipeline.reads_lungs_only(data, strictest):
        implausible = pipeline.name_implausible(extractor, recipe, split, evaluation.seed)
    protocol = TrainingProtocol(recipe, positive, evaluation.point, evaluation.seed)
    printer = epoch_printer(options.epochs, options.quiet)
    outcome = pipeline.fit_and_evaluate(samples, protocol, extractor, split, printer)
    comparison = recipe_comparison.compare(second, samples, protocol, split, outcome) if second else None
    sites = pipeline.leave_sites_out(data, protocol, extractor, options.adjust) if options.leave_one_site_out else []
    with log.timed("evaluate"):
        setting = Setting(positive, evaluation.seed, recipe.balanced, evaluation.prevalence)
        metrics = compute_metrics(extractor, outcome, setting)
        seen = extractor, outcome, metrics, recipe, positive, samples.groups, evaluation.seed
        checks = run_checks(Run(*seen, implausible))
    description = trained_model.describe(outcome, recipe, extractor)
    order = trained_model.most_confident_errors_first(outcome)
    with log.timed("Grad-CAM"):
        shown = order[: html_report.MOST] if outputs.report else order[:0]
        saved = trained_model.saved_model(outcome, description, extractor)
        joined = functools.cache(saved.joined)
        maps = trained_model.grad_cam(outcome, description, extractor, joined, shown)
    settings = {name: getattr(options, name) for name in SETTINGS} | {"split": split.kind}
    groups = subgroups(extractor, outcome, positive)
    beside = order, maps, evaluation, settings, log.seconds, comparison, implausible
    result = TrainingResult(extractor, outcome, metrics, groups, sites, checks, *beside)
    say("\n".join(training_outputs.lines(result)))
    say("\nValidity checks")
    for line, warns in training_outputs.check_lines(checks):
        say(line, BAD if warns else "")
    with log.timed("save"):
        described = replace(description, summary=training_outputs.summary(result))
        described_model = saved._replace(description=described)
        model = as_file(described_model, joined, outputs.model.suffix, extractor.backbone.cache)
        write_together(training_outputs.contents(result, outputs, model))
    log.tell_times(options.timings)
    log.info(f"wrote {', '.join(map(str, outputs.by_flag().values()))}")
    if outputs.report:
        say(f"\nReport: {outputs.report}")
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
