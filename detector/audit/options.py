"""What an audit was asked for: small frozen groups of settings, made once from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector.cli.arguments import column_names
from detector.cluster.flags import ComputeOptions
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
    """

    folds: int
    repeats: int
    seed: int
    external: list[Path]
    model: Path


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
