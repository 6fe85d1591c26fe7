"""Train a COVID-19 classifier on chest radiographs, on a frozen VGG16, and check what the result is worth."""

from __future__ import annotations

from detector.audit.checks import judge, pooling_note
from detector.cli.arguments import parse
from detector.cli.output import Log, epoch_printer
from detector.cli.run import run
from detector.datasets import overview
from detector.files.atomic import require_outputs
from detector.network.model_file import as_file
from detector.reports import html, run_record, training_report
from detector.reports.training_report import TrainingResult
from detector.training.crossvalidation import (
    RecipeComparison,
    adjustment_line,
    choose_split,
    compared,
    compute_features,
    evaluate_recipe,
    grad_cam,
    leave_sites_out,
    load_images,
    most_confident_errors_first,
    out_of_fold,
    saved_model,
    site_plans,
)
from detector.training.dataset import implausible_among, open_dataset, without_implausible
from detector.training.options import TrainingOptions, name_of

EXAMPLE = """python train_covid19.py -d dataset -o runs/first
python train_covid19.py -d dataset -p plot.png -m covid19.model.h5
python train_covid19.py -d dataset -o runs/2 --recipe probe --folds 5"""


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    what = "Train a COVID-19 classifier on class folders of chest radiographs."
    options = parse(TrainingOptions, what, EXAMPLE, arguments)
    recipe, *others = options.recipes()
    outputs, log = options.outputs(), Log(options.quiet)
    require_outputs(outputs)

    if note := pooling_note(recipe):
        log.info(note)

    # Images, and what each is trained and evaluated on. One without lungs is of no use where these alone are read.
    images, positive = load_images(options)
    extractor = open_dataset(images, log, recipe, options)
    lungs_only = "lungs" in {one.pooling for one in (recipe, *others)}
    extractor, implausible = without_implausible(extractor) if lungs_only else (extractor, [])
    overview.report(log, extractor.dataset.images)
    kind, plan = choose_split(options, extractor)
    by_site = site_plans(extractor, positive, options.seed) if options.leave_one_site_out else {}

    # Features, a head, and its predictions on images that it has not seen.
    log.info("extracting VGG16 features...")
    samples = compute_features(options, recipe, extractor, kind, plan)
    if not lungs_only:
        implausible = implausible_among(extractor, plan.held_out, recipe.rotations, options.seed)
    printer = epoch_printer(getattr(recipe, "epochs", 0), options.quiet)
    evaluated = evaluate_recipe(samples, positive, recipe, plan, options, log, printer)
    if getattr(recipe, "adjust", "none") != "none":
        log.info(adjustment_line(evaluated, samples))
    comparison: RecipeComparison | None = None
    for other in others:
        log.info(f"comparing with {name_of(other)}...")
        read = compute_features(options, other, extractor, kind, plan)
        with log.timed("compare recipes"):
            scores = out_of_fold(read, positive, other, plan).predictions.scores(positive)
            own, names = evaluated.predictions.scores(positive), (name_of(recipe), name_of(other))
            comparison = compared(names, own, scores, plan.seed)
    if by_site:
        log.info(f"leaving out {', '.join(by_site)} in turn...")
    sites = leave_sites_out(samples, positive, recipe, by_site, options)

    # What the predictions are worth.
    with log.timed("evaluate"):
        worth = judge(
            extractor, evaluated, options.seed, recipe.balanced, options.prevalence, samples.groups, implausible
        )
    with log.timed("Grad-CAM"):
        order = most_confident_errors_first(evaluated)
        maps = grad_cam(evaluated, extractor, order[: html.MOST if "--report" in outputs else 0])

    result = TrainingResult(
        extractor=extractor,
        evaluated=evaluated,
        worth=worth,
        order=order,
        grad_cam=maps,
        evaluation_options=options,
        settings=options.settings() | {"split": kind},
        times=log.seconds,
        left_out=sites,
        comparison=comparison,
        implausible=implausible,
    )
    training_report.show(result)
    with log.timed("save"):
        model = as_file(saved_model(evaluated, recipe, extractor, training_report.summary(result)))
    with log.timed("draw figures and report"):
        contents = training_report.contents(result, outputs, model)
    with log.timed("save"):
        run_record.save(contents, log)
    log.report_times(options.timings)
    training_report.close(result, outputs)
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
