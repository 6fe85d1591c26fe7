"""Where a training run writes: named on the command line, or after the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector import InputError

FIGURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")
MODELS = (".h5", ".hdf5", ".keras", ".model")
DEFAULT_NAME = "covid19"  # of the tutorial's model: its other outputs have no prefix


@dataclass(frozen=True)
class OutputPaths:
    """What a training run writes."""

    plot: Path
    evaluation_plot: Path
    model: Path
    json: Path
    report: Path | None

    def by_flag(self) -> dict[str, Path]:
        """Return the outputs by the flags that name them."""
        found = {
            "--plot": self.plot,
            "--evaluation-plot": self.evaluation_plot,
            "--model": self.model,
            "--json": self.json,
        }
        return found | ({"--report": self.report} if self.report else {})

    def require_suffixes(self) -> None:
        """Reject outputs whose suffix names a format that is not written.

        Raises
        ------
        InputError
        """
        for flag, path in (("--plot", self.plot), ("--evaluation-plot", self.evaluation_plot)):
            if path.suffix.lower() not in FIGURES:
                raise InputError(f"{flag} {path}: a figure is written as one of {', '.join(FIGURES)}")
        if self.model.suffix.lower() not in MODELS:
            raise InputError(
                f"--model {self.model}: a model is written as HDF5 (.h5, .hdf5, .model) or in Keras' format (.keras)"
            )


@dataclass(frozen=True)
class NamedOutputs:
    """The outputs that were named on the command line; None for the others."""

    output_dir: Path | None = None
    plot: Path | None = None
    evaluation_plot: Path | None = None
    model: Path | None = None
    json: Path | None = None
    report: Path | None = None


def output_paths(given: NamedOutputs, report: bool) -> OutputPaths:
    """Return all outputs of a run.

    What is not named follows the model: beside ``NAME.h5`` lie ``NAME.json``, ``NAME.plot.png`` and so on, so that a
    second model in the same folder leaves the first one's results alone. The tutorial's own names have no prefix.

    Parameters
    ----------
    given : NamedOutputs
    report : bool
        Whether an HTML report is made.

    Returns
    -------
    OutputPaths
    """
    folder = given.output_dir or Path()
    model = given.model or folder / f"{DEFAULT_NAME}.model.h5"
    beside_model = folder if given.output_dir else model.parent
    name = model.name
    for suffix in (model.suffix, ".model"):
        name = name.removesuffix(suffix)
    prefix = "" if name == DEFAULT_NAME else f"{name}."
    plot = given.plot or beside_model / f"{prefix}plot.png"
    beside_plot = folder if given.output_dir else plot.parent
    return OutputPaths(
        plot,
        given.evaluation_plot or beside_plot / f"{prefix}evaluation.png",
        model,
        given.json or beside_model / f"{name}.json",
        (given.report or beside_plot / f"{prefix}report.html") if report else None,
    )
