"""Train a detector of COVID-19 on chest radiographs, on a frozen VGG16, and say what the result is worth."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.cluster.flags import add_ray, ray_options
from detector.command_line import (
    BAD,
    Log,
    Parser,
    add_common,
    add_report,
    between,
    extractor_options,
    run,
    say,
    whole_number,
)
from detector.training.flags import add_recipe

EXAMPLE = "python train_covid19.py -d dataset -p plot.png -m covid19.model.h5"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Train a COVID-19 detector on class folders of chest radiographs.", EXAMPLE)
    parser.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    parser.add_argument("-p", "--plot", type=Path, default=Path("plot.png"), metavar="PNG", help="how training went")
    parser.add_argument(
        "-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="HDF5, or Keras' own .keras"
    )
    parser.add_argument("--evaluation", type=Path, metavar="PNG", help="default: evaluation.png beside the plot")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: covid19.json beside the model")
    add_report(parser, "beside the plot")
    add_recipe(parser)
    parser.add_argument("--lungs", choices=["all", "only"], default="all", help="only: the rest is blacked out")
    parser.add_argument("--test-size", type=between(0, 1), default=0.2, metavar="X", help="share of images held out")
    parser.add_argument("--split", choices=["patient", "image"], help="what is kept whole (default: patient, if known)")
    parser.add_argument("--positive", default="covid", metavar="CLASS", help="class whose sensitivity is reported")
    parser.add_argument("--folds", type=whole_number(2), metavar="K", help="cross-validate, then train on everything")
    parser.add_argument("--repeats", type=whole_number(1), default=1, metavar="R", help="repeat it with other folds")
    parser.add_argument(
        "--leave-one-source-out", action="store_true", help="also hold out each site with both classes in turn"
    )
    point = parser.add_mutually_exclusive_group()
    point.add_argument("--threshold", type=between(0, 1), metavar="X", help="call positive from this probability on")
    point.add_argument("--sensitivity", type=between(0, 1), metavar="X", help="choose the threshold to reach this")
    parser.add_argument(
        "--prevalence", type=between(0, 1), metavar="X", help="share of the ill for which ppv and npv are printed"
    )
    parser.add_argument("--clinical", metavar="COLUMN,…", help="columns of manifest.csv that join the image")
    parser.add_argument("--allow-missing-shortcut", action="store_true", help="even if absence of values tells classes")
    parser.add_argument("--timings", action="store_true", help="say where the time went")
    add_common(parser, tensorflow=True)
    add_ray(parser)
    options = parser.parse_args(arguments)
    options.evaluation = options.evaluation or options.plot.parent / "evaluation.png"
    options.json = options.json or options.model.parent / "covid19.json"
    options.report = None if options.no_report else options.report or options.plot.parent / "report.html"
    options.columns = [name.strip() for name in options.clinical.split(",")] if options.clinical else []
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.audit.checks import Run
    from detector.audit.metrics import Setting, compute_metrics
    from detector.audit.subgroups import subgroups
    from detector.audit.validity import run_checks
    from detector.datasets import overview
    from detector.reports import training_outputs
    from detector.training import pipeline
    from detector.training.extraction import open_dataset
    from detector.training.flags import recipe_from

    recipe = recipe_from(options)
    training_outputs.require_outputs(options)
    images = pipeline.load_images(options)
    positive = images.classes.index(options.positive)
    extractor = open_dataset(images, log, recipe=recipe, ray=ray_options(options), **extractor_options(options))
    overview.tell(log, overview.of_images(images.images))
    pipeline.look_at_lungs_only(options, extractor, log)
    split = pipeline.choose_split(options, extractor, log)
    recipe = pipeline.decide_adjustment(options, recipe, extractor, split, log)
    samples = pipeline.compute_features(options, recipe, extractor, split, log)
    outcome = pipeline.fit_and_evaluate(options, recipe, extractor, samples, positive, split, log)
    with log.timed("evaluate"):
        setting = Setting(positive, options.seed, recipe.balanced, options.prevalence)
        found = compute_metrics(extractor, outcome, setting)
        table = subgroups(extractor, outcome, positive)
        say("\n".join(training_outputs.lines(options, extractor, outcome, found, table)))
        left_out = pipeline.leave_sources_out(options, recipe, extractor, positive, log)
        for one in left_out:
            say(one)
        checks = run_checks(Run(extractor, outcome, found, recipe, positive, samples.groups, options.seed))
        print("Validity checks")
        for check in checks:
            say(f"  {check}", BAD if check.warns else "")
    training_outputs.save(options, split.kind, extractor, outcome, found, table, left_out, checks, log)
    log.tell_times(options.timings)
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
