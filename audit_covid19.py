"""Find out what a detector really learnt: the disease, or where its images come from."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from detector.cluster.flags import add_ray, ray_options
from detector.command_line import (
    BAD,
    GOOD,
    Log,
    Parser,
    add_common,
    add_report,
    extractor_options,
    run,
    say,
    whole_number,
)
from detector.training.flags import add_recipe, recipe_from

EXAMPLE = "python audit_covid19.py -d dataset --controls controls/other -o audit"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Audit what a COVID-19 detector learns from a data set.", EXAMPLE)
    parser.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    parser.add_argument("-o", "--output", type=Path, default=Path("audit"), metavar="DIR", help="audit.json, audit.png")
    parser.add_argument("--controls", type=Path, metavar="DIR", help="images of the positives' source, other findings")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="lung masks by the images' names (default: found)")
    parser.add_argument(
        "--external",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="class folders from elsewhere, for --model; repeatable",
    )
    parser.add_argument(
        "-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="saved model"
    )
    add_report(parser, "in the output folder")
    add_recipe(parser)
    parser.add_argument("--folds", type=whole_number(2), default=5, metavar="K", help="folds of each experiment")
    parser.add_argument("--repeats", type=whole_number(1), default=3, metavar="R", help="repeats with other folds")
    parser.add_argument("--positive", default="covid", metavar="CLASS", help="class that is told from the others")
    parser.add_argument("--clinical", metavar="COLUMN,…", help="columns of manifest.csv to judge alone")
    parser.add_argument("--timings", action="store_true", help="say where the time went")
    add_common(parser, tensorflow=True)
    add_ray(parser)
    options = parser.parse_args(arguments)
    options.report = None if options.no_report else options.report or options.output / "report.html"
    options.columns = [name.strip() for name in options.clinical.split(",")] if options.clinical else []
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.audit import image_sets
    from detector.audit.comparison import Audit, Settings
    from detector.audit.conclusion import LUNGS, conclude
    from detector.audit.experiments import predicted_positive, run_experiments
    from detector.audit.external import evaluate_external, read_model
    from detector.datasets import clinical
    from detector.images.occlusion import find_masks, require_same_shape
    from detector.reports import audit_outputs
    from detector.training.extraction import open_dataset

    recipe = recipe_from(options)
    audit_outputs.require_outputs(options.output, options.report)
    sets = image_sets.load_image_sets(options.dataset, options.controls, options.external, options.positive)
    clinical.fit(options.columns, [sets.dataset.images[row].row for row in sets.own])
    masks = find_masks(options.masks, [image.path for image in sets.dataset.images]) if options.masks else {}
    saved = read_model(options.model, recipe) if options.external else None

    extractor = open_dataset(sets.dataset, log, recipe=recipe, ray=ray_options(options), **extractor_options(options))
    images = zip(sets.dataset.images, extractor.properties, strict=True)
    require_same_shape(masks, {image.path.stem: (properties.width, properties.height) for image, properties in images})
    settings = Settings(
        options.positive, recipe, options.adjust, options.folds, options.repeats, options.seed, options.columns
    )
    audit = Audit(extractor, sets, settings, masks)
    with log.timed("experiments"):
        results = run_experiments(audit)
        called = predicted_positive(audit)
        external = [evaluate_external(audit, name, rows, *saved) for name, rows in sets.external.items()]
    results[-1:-1] = [one.result for one in external]
    verdict = conclude(results, called, options.positive)
    for line in audit_outputs.lines(results, external, called, audit.notes, options.positive):
        say(line)
    for line in textwrap.wrap(f"Verdict: {verdict}", 118):
        say(line, GOOD if verdict.learnt == LUNGS else BAD)
    audit_outputs.save(options, audit, results, external, called, verdict, log)
    log.tell_times(options.timings)
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
