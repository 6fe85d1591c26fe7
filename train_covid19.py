"""Train a COVID-19 classifier on chest radiographs, on a frozen VGG16, and check what the result is worth."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.cli.arguments import Parser
from detector.cli.output import BAD, Log, epoch_printer, replaced_line, say
from detector.cli.run import run
from detector.training.options import add_training, training_options

if TYPE_CHECKING:
    from detector.training.options import TrainingOptions

EXAMPLE = "python train_covid19.py -d dataset -p plot.png -m covid19.model.h5"


def parse_arguments(arguments: list[str] | None) -> TrainingOptions:
    """Parse the command line."""
    parser = Parser("Train a COVID-19 classifier on class folders of chest radiographs.", EXAMPLE)
    add_training(parser)
    return training_options(parser.parse_args(arguments))


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    data, model, evaluation, outputs = options.data, options.model, options.evaluation, options.outputs
    log = Log(options.quiet)

    from detector.audit.checks import Run, audit_flags, run_checks
    from detector.audit.metrics import MetricSettings, compute_metrics
    from detector.audit.subgroups import subgroups
    from detector.datasets import overview
    from detector.files.atomic import require_outputs, write_together
    from detector.network.model_file import as_file
    from detector.reports import html, training_report
    from detector.reports.training_report import TrainingResult
    from detector.training import comparison as compared_recipe
    from detector.training import run as training
    from detector.training.crossvalidation import TrainingProtocol
    from detector.training.dataset import open_dataset

    outputs.require_suffixes()
    require_outputs(outputs.by_flag())

    # Images, and what each is trained and evaluated on.
    images, positive_class = training.load_images(data)
    extractor = open_dataset(images, log, model.trained_recipe(), options.compute)
    extractor, left_out = training.leave_out_implausible(data, model, extractor)
    extractor = training.mask_out(data, extractor)
    overview.report(log, overview.of_images(extractor.dataset.images))
    split = training.choose_split(evaluation, extractor)
    recipe = training.decide_adjustment(model.trained_recipe(), model.adjust, extractor, split)
    second = compared_recipe.prepare(model, recipe, extractor, split)

    # Features, a head, and its predictions on images that it has not seen.
    samples = training.compute_features(data, recipe, extractor, split, evaluation.seed)
    implausible = training.implausible_images(left_out, extractor, recipe, split, evaluation.seed)
    protocol = TrainingProtocol(recipe, images.classes.index(positive_class), evaluation.point, evaluation.seed)
    printer = epoch_printer(model.epochs, options.quiet)
    evaluated = training.fit_and_evaluate(samples, protocol, extractor, split, printer)
    comparison = compared_recipe.compare(second, samples, protocol, split, evaluated) if second else None
    sites = training.leave_sites_out(data, protocol, extractor, model.adjust) if evaluation.leave_one_site_out else []

    # What the predictions are worth.
    with log.timed("evaluate"):
        setting = MetricSettings(protocol.positive, evaluation.seed, recipe.balanced, evaluation.prevalence)
        metrics = compute_metrics(extractor, evaluated, setting)
        audit = html.audit_command(audit_flags(data.dataset, recipe))
        own = html.command()
        checks = run_checks(Run(extractor, evaluated, metrics, recipe, samples.groups, implausible, own, audit))
        groups = subgroups(extractor, evaluated, protocol.positive)
    description = training.describe(evaluated, recipe, extractor)
    saved = training.saved_model(evaluated, description, extractor)
    joined = functools.cache(saved.joined)
    with log.timed("Grad-CAM"):
        order = training.most_confident_errors_first(evaluated)
        shown = order[: html.MOST] if outputs.report else order[:0]
        maps = training.grad_cam(evaluated, description, extractor, joined, shown)

    result = TrainingResult(
        extractor=extractor,
        evaluated=evaluated,
        metrics=metrics,
        subgroups=groups,
        left_out=sites,
        checks=checks,
        order=order,
        grad_cam=maps,
        evaluation_options=evaluation,
        settings=options.settings(split.kind),
        times=log.seconds,
        comparison=comparison,
        implausible=implausible,
    )
    say("\n".join(training_report.lines(result)))
    say("\nValidity checks")
    for line, warns in training_report.check_lines(checks):
        say(line, BAD if warns else "")
    with log.timed("save"):
        described = replace(description, summary=training_report.summary(result))
        described_model = saved._replace(description=described)
        file = as_file(described_model, joined, outputs.model.suffix, extractor.backbone.cache)
        contents = training_report.contents(result, outputs, file)
        replaced = replaced_line(contents)
        write_together(contents)
    log.report_times(options.timings)
    log.info(f"wrote {', '.join(map(str, outputs.by_flag().values()))}")
    if replaced:
        log.info(replaced)
    if outputs.report:
        say(f"\nReport: {outputs.report}")
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
