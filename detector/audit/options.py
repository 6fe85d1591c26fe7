"""The flags of an audit, and the settings that they stand for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from detector.cli.arguments import Parser, add_flags, add_report, column_names, read_flags, whole_number
from detector.cluster.connection import ComputeOptions
from detector.files.atomic import require_folder, require_writable
from detector.training.options import ModelOptions


@dataclass(frozen=True)
class AuditData:
    """Which images are audited, and what is known of them.

    Attributes
    ----------
    dataset : Path
        A folder per class.
    positive_class : str
    controls : Path or None
        Other findings from the positives' site.
    masks : Path or None
        Lung masks by the images' names.
    clinical_columns : str or None
        Columns of the manifest, as they were given.
    """

    dataset: Path
    positive_class: str = "covid"
    controls: Path | None = None
    masks: Path | None = None
    clinical_columns: str | None = None

    @property
    def columns(self) -> list[str]:
        """Clinical columns by name."""
        return list(column_names(self.clinical_columns or ""))


@dataclass(frozen=True)
class AuditEvaluation:
    """How each experiment is validated, and what a saved model is tested on.

    Attributes
    ----------
    folds, repeats, seed : int
    external : list of Path
        External test sets: a folder per class each.
    model : Path
        That is tested on them.
    permutations : int
        Of the labels; 0 for none.
    """

    folds: int
    repeats: int
    seed: int
    external: list[Path]
    model: Path
    permutations: int = 0


@dataclass(frozen=True)
class AuditOutputs:
    """Where an audit is written.

    Attributes
    ----------
    folder : Path
    report : Path or None
        The HTML report.
    """

    folder: Path
    report: Path | None

    @property
    def json(self) -> Path:
        """The record for programs."""
        return self.folder / "audit.json"

    @property
    def figure(self) -> Path:
        """The forest plot."""
        return self.folder / "audit.png"

    def require_writable(self) -> None:
        """Reject outputs that could not be written later.

        Raises
        ------
        InputError
        """
        require_folder(self.folder)
        for path in (self.json, self.figure, *([self.report] if self.report else [])):
            require_writable(path)


@dataclass(frozen=True)
class AuditOptions:
    """All that an audit was asked for.

    Attributes
    ----------
    data : AuditData
    model : ModelOptions
    evaluation : AuditEvaluation
    compute : ComputeOptions
    outputs : AuditOutputs
    quiet : bool
        Print results only.
    timings : bool
        Print the time that each stage took.
    """

    data: AuditData
    model: ModelOptions
    evaluation: AuditEvaluation
    compute: ComputeOptions
    outputs: AuditOutputs
    quiet: bool = False
    timings: bool = False

    def settings(self) -> dict[str, object]:
        """Return the settings as the audit's JSON file has them."""
        data, evaluation, model = self.data, self.evaluation, self.model.settings()
        pooling = model.pop("pooling")
        return model | {
            "folds": evaluation.folds,
            "repeats": evaluation.repeats,
            "pooling": pooling,
            "positive_class": data.positive_class,
            "clinical_columns": data.clinical_columns,
            "seed": evaluation.seed,
        }


def add_audit(parser: Parser) -> None:
    """Add the flags of an audit."""
    group = parser.group("data")
    group.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    group.add_argument("--positive-class", default="covid", metavar="CLASS", help="class that is separated from others")
    group.add_argument("--controls", type=Path, metavar="DIR", help="other findings from the positives' site")
    group.add_argument("--masks", type=Path, metavar="DIR", help="lung masks by the images' names (default: found)")
    group.add_argument("--clinical-columns", metavar="COLUMN,…", help="columns of manifest.csv to evaluate alone")
    add_flags(parser, ModelOptions)
    evaluation = parser.group("evaluation")
    evaluation.add_argument("--folds", type=whole_number(2), default=5, metavar="K", help="folds of each experiment")
    evaluation.add_argument("--repeats", type=whole_number(1), default=3, metavar="R", help="repeats with other folds")
    evaluation.add_argument(
        "--permuted-labels",
        type=whole_number(19),
        default=0,
        metavar="N",
        help="also permute the labels N times: a p-value of the ROC AUC",
    )
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
    parser.group("computing").add_argument(
        "--seed", type=whole_number(0), default=42, metavar="N", help="seed of all random numbers"
    )
    add_flags(parser, ComputeOptions)


def audit_options(given: argparse.Namespace) -> AuditOptions:
    """Return what the flags of `add_audit` say.

    Raises
    ------
    InputError
        If flags contradict each other.
    """
    report = None if given.no_report else given.report or given.output_dir / "report.html"
    return AuditOptions(
        AuditData(given.dataset, given.positive_class, given.controls, given.masks, given.clinical_columns),
        read_flags(ModelOptions, given),
        AuditEvaluation(given.folds, given.repeats, given.seed, given.external, given.model, given.permuted_labels),
        read_flags(ComputeOptions, given),
        AuditOutputs(given.output_dir, report),
        given.quiet,
        given.timings,
    )
