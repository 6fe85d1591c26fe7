"""The flags of an audit, and the settings that they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli.arguments import Parser, add_common, add_report, whole_number
from detector.cluster.flags import add_ray, compute_options
from detector.training.options import add_recipe, model_options

if TYPE_CHECKING:
    from detector.audit.options import AuditOptions


def add_audit(parser: Parser) -> None:
    """Add the flags of an audit."""
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


def audit_options(given: argparse.Namespace) -> AuditOptions:
    """Return what the flags of `add_audit` say.

    Raises
    ------
    InputError
        If flags contradict each other.
    """
    from detector.audit.options import AuditData, AuditEvaluation, AuditOptions, AuditOutputs

    report = None if given.no_report else given.report or given.output_dir / "report.html"
    return AuditOptions(
        AuditData(given.dataset, given.positive_class, given.controls, given.masks, given.clinical_columns),
        model_options(given),
        AuditEvaluation(given.folds, given.repeats, given.seed, given.external, given.model),
        compute_options(given),
        AuditOutputs(given.output_dir, report),
        given.quiet,
        given.timings,
    )
