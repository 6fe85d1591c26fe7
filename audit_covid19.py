"""Test whether a COVID-19 detector uses the lungs, or a shortcut such as the site that its images come from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from detector.audit.audit_flags import add_audit, audit_options
from detector.command_line.arguments import Parser
from detector.command_line.exit_status import run
from detector.command_line.printing import BAD, GOOD, Log, say, warn

if TYPE_CHECKING:
    from detector.audit.options import AuditOptions

EXAMPLE = "python audit_covid19.py -d dataset --controls controls/other -o audit"


def parse_arguments(arguments: list[str] | None) -> AuditOptions:
    """Parse the command line."""
    parser = Parser("Test what a COVID-19 classifier learns from a data set.", EXAMPLE)
    add_audit(parser)
    return audit_options(parser.parse_args(arguments))


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    data, model, evaluation, outputs = options.data, options.model, options.evaluation, options.outputs
    log = Log(options.quiet)

    from detector.audit import image_sets, localisation, set_content, set_overlap
    from detector.audit.comparison import Audit, ExperimentSettings
    from detector.audit.conclusion import LUNGS, Evidence, conclude
    from detector.audit.examples import Examples, find_examples
    from detector.audit.experiments import run_experiments
    from detector.audit.external import evaluate_external, read_model
    from detector.audit.same_site_controls import controls_predicted_positive
    from detector.audit.shortcut_risk import shortcut_risks
    from detector.datasets import clinical
    from detector.images.occlusion import find_masks, require_same_shape
    from detector.reports import audit_outputs
    from detector.reports.audit_outputs import AuditResult
    from detector.training.implausible_images import line as implausible_line
    from detector.training.opening import open_dataset

    recipe = model.trained_recipe()
    outputs.require_writable()
    sets = image_sets.load_image_sets(data.dataset, data.controls, evaluation.external, data.positive_class)
    positive = sets.positive
    clinical.fit(data.columns, [sets.dataset.images[row].row for row in sets.own])
    masks = find_masks(data.masks, [image.path for image in sets.dataset.images]) if data.masks else {}
    saved = read_model(evaluation.model, recipe) if evaluation.external else None

    if saved and saved.note:
        warn(f"model {evaluation.model} was {saved.note}")
    extractor = open_dataset(sets.dataset, log, recipe, options.compute)
    images = zip(sets.dataset.images, extractor.properties, strict=True)
    trained = saved.description.training_images if saved else None
    sets = set_overlap.without_overlap(sets, extractor.properties, extractor.near_duplicates, trained)
    if trained and (note := set_overlap.without_hashes(trained)):
        log.info(note)
    for note in set_overlap.notes(sets):
        warn(note)
    with log.timed("find lungs"):
        total = sets.count
        sets, implausible = set_content.without_implausible(sets, extractor, recipe)
    content = implausible_line(implausible, total) if implausible else ""
    if content:
        warn(content)
    require_same_shape(masks, {image.path.stem: (properties.width, properties.height) for image, properties in images})
    settings = ExperimentSettings(
        positive, recipe, model.adjust, evaluation.folds, evaluation.repeats, evaluation.seed, data.columns
    )
    # One progress bar for the whole audit: its forward passes show none.
    audit = Audit(replace(extractor, log=Log(True)), sets, settings, masks)
    if not audit.can_be_validated(sets.own):
        audit.plan(audit.samples)  # says which class has too few patients
    with log.timed("experiments"):
        results = run_experiments(audit, quiet=options.quiet)
        external = (
            [evaluate_external(audit, name, rows, saved) for name, rows in sets.external.items()] if saved else []
        )
        results += [one.result for one in external]
        controls_positive = controls_predicted_positive(audit)
        risks = shortcut_risks(audit)
    with log.timed("localisation"):
        located = localisation.localise(audit, options.quiet)
        checks = [localisation.check(located, recipe.pooling)]
    conclusion = conclude(Evidence(results, controls_positive, positive, audit.shares_sites()))
    shown = find_examples(audit, [one.id for one in results], located) if outputs.report else Examples()
    found = AuditResult(
        results, external, controls_positive, risks, conclusion, located, checks, implausible, content, shown
    )
    for line in audit_outputs.lines(found, positive):
        say(line)
    for line in audit_outputs.conclusion_lines(conclusion):
        say(line, GOOD if conclusion.code == LUNGS else BAD)
    audit_outputs.save(outputs, audit, found, options.settings(), log)
    log.report_times(options.timings)
    if outputs.report:
        say(f"Report: {outputs.report}")
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
