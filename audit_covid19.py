"""Test whether a COVID-19 detector uses the lungs, or a shortcut such as the site that its images come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cluster.flags import add_ray, compute_options
from detector.command_line.arguments import Parser, add_common, add_report, column_names, whole_number
from detector.command_line.exit_status import run
from detector.command_line.printing import BAD, GOOD, Log, say, warn
from detector.training.flags import add_recipe, model_options

if TYPE_CHECKING:
    from detector.cluster.flags import ComputeOptions
    from detector.reports.audit_outputs import Outputs
    from detector.training.options import ModelOptions

EXAMPLE = "python audit_covid19.py -d dataset --controls controls/other -o audit"


@dataclass(frozen=True)
class AuditData:
    """Which images are audited, and what is known of them.

    Attributes
    ----------
    dataset : Path
    positive_class : str
    controls : Path or None
    masks : Path or None
    clinical_columns : str or None
        As they were given.
    external : list of Path
        External test sets.
    model : Path
        That is tested on them.
    """

    dataset: Path
    positive_class: str
    controls: Path | None
    masks: Path | None
    clinical_columns: str | None
    external: list[Path]
    model: Path


@dataclass(frozen=True)
class AuditOptions:
    """All that an audit was asked for."""

    data: AuditData
    model: ModelOptions
    folds: int
    repeats: int
    seed: int
    compute: ComputeOptions
    outputs: Outputs
    quiet: bool
    timings: bool

    def settings(self) -> dict[str, object]:
        """Return the settings as the audit's JSON file has them."""
        model = self.model.settings()
        pooling = model.pop("pooling")
        return model | {
            "folds": self.folds,
            "repeats": self.repeats,
            "pooling": pooling,
            "positive_class": self.data.positive_class,
            "clinical_columns": self.data.clinical_columns,
            "seed": self.seed,
        }


def parse_arguments(arguments: list[str] | None) -> AuditOptions:
    """Parse the command line."""
    parser = Parser("Test what a COVID-19 detector learns from a data set.", EXAMPLE)
    group = parser.group("data")
    group.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    group.add_argument("--positive-class", default="covid", metavar="CLASS", help="class that is separated from others")
    group.add_argument("--controls", type=Path, metavar="DIR", help="other findings from the positives' site")
    group.add_argument("--masks", type=Path, metavar="DIR", help="lung masks by the images' names (default: found)")
    group.add_argument("--clinical-columns", metavar="COLUMN,…", help="columns of manifest.csv to evaluate alone")
    add_recipe(parser)
    evaluation = parser.group("evaluation")
    evaluation.add_argument("--folds", type=whole_number(2), default=5, metavar="K", help="folds of each experiment")
    evaluation.add_argument("--repeats", type=whole_number(1), default=3, metavar="R", help="repeats with other folds")
    evaluation.add_argument(
        "--external",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="external test set for --model: a folder per class; repeatable",
    )
    evaluation.add_argument(
        "-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="saved model for --external"
    )
    outputs = parser.group("outputs")
    outputs.add_argument(
        "-o", "--output-dir", type=Path, default=Path("audit"), metavar="DIR", help="audit.json, audit.png, report.html"
    )
    outputs.add_argument("--timings", action="store_true", help="print the time that each stage took")
    add_report(parser, "in the output folder")
    add_common(parser, tensorflow=True)
    add_ray(parser)
    given = parser.parse_args(arguments)

    from detector.reports.audit_outputs import Outputs

    data = AuditData(
        given.dataset,
        given.positive_class,
        given.controls,
        given.masks,
        given.clinical_columns,
        given.external,
        given.model,
    )
    report = None if given.no_report else given.report or given.output_dir / "report.html"
    return AuditOptions(
        data,
        model_options(given),
        given.folds,
        given.repeats,
        given.seed,
        compute_options(given),
        Outputs(given.output_dir, report),
        given.quiet,
        given.timings,
    )


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    data, model, outputs = options.data, options.model, options.outputs
    columns = list(column_names(data.clinical_columns or ""))
    log = Log(options.quiet)

    from detector.audit import image_sets, localisation, set_content, set_overlap
    from detector.audit.comparison import Audit, Settings
    from detector.audit.conclusion import LUNGS, Evidence, conclude
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
    sets = image_sets.load_image_sets(data.dataset, data.controls, data.external, data.positive_class)
    positive = sets.positive
    clinical.fit(columns, [sets.dataset.images[row].row for row in sets.own])
    masks = find_masks(data.masks, [image.path for image in sets.dataset.images]) if data.masks else {}
    saved = read_model(data.model, recipe) if data.external else None

    if saved and saved.note:
        warn(f"model {data.model} was {saved.note}")
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
    settings = Settings(positive, recipe, model.adjust, options.folds, options.repeats, options.seed, columns)
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
    found = AuditResult(results, external, controls_positive, risks, conclusion, located, checks, implausible, content)
    for line in audit_outputs.lines(found, positive):
        say(line)
    for line in audit_outputs.conclusion_lines(conclusion):
        say(line, GOOD if conclusion.code == LUNGS else BAD)
    audit_outputs.save(outputs, audit, found, options.settings(), log)
    log.tell_times(options.timings)
    if outputs.report:
        say(f"Report: {outputs.report}")
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
