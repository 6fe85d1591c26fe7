"""What an audit can be asked for: each field is a flag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector.cli.arguments import flag, whole_number
from detector.training.options import DATA, EVALUATION, OUTPUTS, ModelOptions

FEWEST_PERMUTATIONS = 19  # whose smallest p-value is 0.05


@dataclass(frozen=True, kw_only=True)
class AuditOptions(ModelOptions):
    """All that an audit can be asked for."""

    controls: Path | None = flag(DATA, None, "other findings from the positives' site", type=Path, metavar="DIR")
    masks: Path | None = flag(DATA, None, "lung masks by the images' names (default: found)", type=Path, metavar="DIR")
    folds: int = flag(EVALUATION, 5, "folds of each experiment", type=whole_number(2), metavar="K")
    repeats: int = flag(EVALUATION, 3, "repeats with other folds", type=whole_number(1), metavar="R")
    permuted_labels: int = flag(
        EVALUATION,
        0,
        "also permute the labels N times: a p-value of the ROC AUC",
        type=whole_number(FEWEST_PERMUTATIONS),
        metavar="N",
    )
    external: list[Path] | None = flag(
        EVALUATION,
        None,
        "external test set for --model: a folder per class; repeatable",
        type=Path,
        metavar="DIR",
        action="append",
    )
    model: Path = flag(EVALUATION, Path("covid19.model.h5"), "saved model for --external", "-m", metavar="FILE")
    output_dir: Path = flag(OUTPUTS, Path("audit"), "audit.json, audit.png, report.html", "-o", metavar="DIR")

    def outputs(self) -> dict[str, Path]:
        """Return the files that an audit writes, by what they are."""
        found = {"json": self.output_dir / "audit.json", "figure": self.output_dir / "audit.png"}
        return found if self.no_report else found | {"report": self.report or self.output_dir / "report.html"}

    def settings(self) -> dict[str, object]:
        """Return the settings as the audit's JSON file has them."""
        names = ("folds", "repeats", "permuted_labels", "positive_class", "clinical_columns", "seed")
        return super().settings() | {name: getattr(self, name) for name in names}
