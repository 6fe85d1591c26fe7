"""Test whether a COVID-19 detector uses the lungs, or a shortcut such as the site that its images come from."""

from __future__ import annotations

from detector.audit.baselines import shortcut_risks
from detector.audit.context import AuditOptions, load_image_sets, open_audit
from detector.audit.evidence import LUNGS, conclude
from detector.audit.experiments import (
    controls_predicted_positive,
    differences,
    evaluate_external,
    read_model,
    run_experiments,
)
from detector.audit.localisation import check, localise
from detector.cli.arguments import parse
from detector.cli.output import BAD, GOOD, Log, say
from detector.cli.run import run
from detector.files.atomic import require_folder, require_outputs
from detector.reports import audit_report
from detector.reports.audit_report import AuditResult

EXAMPLE = "python audit_covid19.py -d dataset --controls controls/other -o audit"


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(AuditOptions, "Test what a COVID-19 classifier learns from a data set.", EXAMPLE, arguments)
    (recipe,), outputs, log = options.recipes(), options.outputs(), Log(options.quiet)
    require_folder(options.output_dir)
    flags = {"report": "--report", "json": "--output-dir (audit.json)", "figure": "--output-dir (audit.png)"}
    require_outputs({flags[what]: path for what, path in outputs.items()})
    sets = load_image_sets(options)
    saved = read_model(options.model, recipe) if options.external else None
    audit, implausible = open_audit(options, sets, log, saved.description.training_images if saved else ())

    # Every experiment that the folders allow, and the saved model elsewhere.
    with log.timed("experiments"):
        results = run_experiments(audit, quiet=options.quiet)
        results += [evaluate_external(audit, name, rows, saved) for name, rows in audit.sets.external.items() if saved]
        controls_positive = controls_predicted_positive(audit)
        risks = shortcut_risks(audit)
    with log.timed("localisation"):
        located = localise(audit)

    # What they say together.
    paired, shared = differences(audit, results), audit.shares_sites()
    conclusion = conclude(results, controls_positive, audit.sets.positive, shared, paired)
    found = AuditResult(
        results=results,
        controls_positive=controls_positive,
        risks=risks,
        conclusion=conclusion,
        localisation=located,
        checks=[check(located, recipe.pooling)],
        implausible=implausible,
    )
    for line in audit_report.lines(found, audit.sets.positive):
        say(line)
    for line in audit_report.conclusion_lines(found):
        say(line, GOOD if conclusion.code == LUNGS else BAD)
    audit_report.save(outputs, audit, found, options.settings(), log)
    log.report_times(options.timings)
    if "report" in outputs:
        say(f"Report: {outputs['report']}")
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
