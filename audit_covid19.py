"""Test whether a COVID-19 detector uses the lungs, or a shortcut such as the site that its images come from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from detector.audit.options import add_audit, audit_options
from detector.cli.arguments import Parser
from detector.cli.output import BAD, GOOD, STEP, Log, one_bar, say, step, warn
from detector.cli.run import run

if TYPE_CHECKING:
    from detector.audit.context import Audit
    from detector.audit.options import AuditOptions
    from detector.reports.audit_report import AuditResult

EXAMPLE = "python audit_covid19.py -d dataset --controls controls/other -o audit"
# Of the progress bar, beside the experiments: reading, lungs, external sets, shortcut risks, Grad-CAM, example images.
OTHER_STEPS = 6


def parse_arguments(arguments: list[str] | None) -> AuditOptions:
    """Parse the command line."""
    parser = Parser("Test what a COVID-19 classifier learns from a data set.", EXAMPLE)
    add_audit(parser)
    return audit_options(parser.parse_args(arguments))


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.audit.evidence import LUNGS
    from detector.audit.experiments import EXPERIMENTS
    from detector.reports import audit_report

    options.outputs.require_writable()
    with one_bar(sum(one.parts for one in EXPERIMENTS) + OTHER_STEPS * STEP, "auditing", options.quiet):
        audit, found = examine(options, log)
    for line in audit_report.lines(found, audit.settings.positive):
        say(line)
    for line in audit_report.conclusion_lines(found.conclusion):
        say(line, GOOD if found.conclusion.code == LUNGS else BAD)
    audit_report.save(options.outputs, audit, found, options.settings(), log)
    log.report_times(options.timings)
    if options.outputs.report:
        say(f"Report: {options.outputs.report}")
    return 0


def examine(options: AuditOptions, log: Log) -> tuple[Audit, AuditResult]:
    """Read the images, run every experiment that they allow, and conclude."""
    data, model, evaluation = options.data, options.model, options.evaluation

    from detector.audit import image_sets, localisation
    from detector.audit import image_sets as set_content
    from detector.audit import image_sets as set_overlap
    from detector.audit.baselines import shortcut_risks
    from detector.audit.context import Audit, ExperimentSettings
    from detector.audit.evidence import Evidence, conclude
    from detector.audit.examples import Examples, find_examples
    from detector.audit.experiments import controls_predicted_positive, differences, run_experiments
    from detector.audit.external import evaluate_external, read_model
    from detector.datasets import clinical
    from detector.images.masks import find_masks, require_same_shape
    from detector.reports.audit_report import AuditResult
    from detector.training.dataset import implausible_line, open_dataset

    recipe = model.recipes()[0]
    sets = image_sets.load_image_sets(data.dataset, data.controls, evaluation.external, data.positive_class)
    positive = sets.positive
    clinical.fit(data.columns, [sets.dataset.images[row].row for row in sets.own])
    listed = [sets.dataset.images[row] for row in (*sets.own, *sets.controls)]
    masks = find_masks(data.masks, {image.path: image.label for image in listed}) if data.masks else {}
    saved = read_model(evaluation.model, recipe) if evaluation.external else None

    if saved and saved.note:
        warn(f"model {evaluation.model} was {saved.note}")
    with step("reading images"):
        extractor = open_dataset(sets.dataset, log, recipe, options.compute)
    images = zip(sets.dataset.images, extractor.properties, strict=True)
    trained = saved.description.training_images if saved else ()
    sets = set_overlap.without_overlap(sets, extractor.properties, extractor.near_duplicates, trained)
    for note in set_overlap.notes(sets):
        warn(note)
    total = sets.count
    with log.timed("find lungs"), step("finding lungs"):
        sets, implausible = set_content.without_implausible(sets, extractor, recipe)
    content = implausible_line(implausible, total) if implausible else ""
    if content:
        warn(content)
    require_same_shape(masks, {image.path: (properties.width, properties.height) for image, properties in images})
    settings = ExperimentSettings(
        positive,
        recipe,
        evaluation.folds,
        evaluation.repeats,
        evaluation.seed,
        data.columns,
        evaluation.permutations,
    )
    # What an experiment decides on its way is said by its notes.
    audit = Audit(replace(extractor, log=Log(True)), sets, settings, masks)
    if not audit.can_be_validated(sets.own):
        audit.plan(audit.is_positive(sets.own), audit.extractor.patients[sets.own])  # says which class has too few
    with log.timed("experiments"):
        results = run_experiments(audit)
        with step("external test sets"):
            named = sets.external.items()
            external = [evaluate_external(audit, name, rows, saved) for name, rows in named] if saved else []
        results += [one.result for one in external]
        with step("shortcut risks"):
            controls_positive = controls_predicted_positive(audit)
            risks = shortcut_risks(audit)
    with log.timed("localisation"), step("Grad-CAM"):
        located = localisation.localise(audit)
        checks = [localisation.check(located, recipe.pooling)]
    conclusion = conclude(Evidence(results, controls_positive, positive, audit.shares_sites(), differences(audit)))
    with step("example images"):
        shown = find_examples(audit, [one.id for one in results], located) if options.outputs.report else Examples()
    return audit, AuditResult(
        results, external, controls_positive, risks, conclusion, located, checks, implausible, content, shown
    )


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
