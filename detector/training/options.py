"""What a training run can be asked for: each field of these classes is a flag."""

from __future__ import annotations

import argparse
import re
from dataclasses import Field, dataclass, fields
from pathlib import Path

from detector import InputError
from detector.cli.arguments import between, column_names, flag, output_of, seed_flag, whole_number
from detector.cluster.connection import ComputeOptions
from detector.datasets.dataset import PATIENT_FROM, patient_pattern
from detector.network.backbone import POOLINGS
from detector.training.recipes import RECIPES, Recipe

DATA, MODEL, EVALUATION, OUTPUTS = "data", "model", "evaluation", "outputs"
FIGURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")
DEFAULT_NAME = "covid19"  # of the tutorial's model: its other outputs have no prefix


@dataclass(frozen=True, kw_only=True)
class RunOptions(ComputeOptions):
    """What every run on a labelled folder can be asked for."""

    dataset: Path = flag(DATA, Path("dataset"), "a folder per class", "-d", metavar="DIR")
    patient_from: re.Pattern[str] | None = flag(DATA, None, PATIENT_FROM, type=patient_pattern, metavar="REGEX")
    seed: int = seed_flag()
    no_report: bool = flag(OUTPUTS, False, "make no HTML report, and no Grad-CAM for it", either="report")
    timings: bool = flag(OUTPUTS, False, "print the time that each stage took")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(RunOptions):
    """What is fitted, and to what: of settings of recipes, None where a recipe's own default holds."""

    positive_class: str = flag(DATA, "covid", "class whose sensitivity is reported", metavar="CLASS")
    clinical_columns: tuple[str, ...] = flag(DATA, (), "of manifest.csv", type=column_names, metavar="COLUMN,…")
    recipe: str = flag(MODEL, "tutorial", "the tutorial's, or a linear probe", choices=RECIPES)
    pooling: str | None = flag(
        MODEL,
        None,
        "features are means over the upper left (tutorial), the whole image, or the lungs "
        "(default: tutorial; with --recipe probe: lungs)",
        choices=POOLINGS,
    )
    adjust: str = flag(
        MODEL,
        "auto",
        "probe: fit within site and view (strata), or across; auto: within, where they hold two classes",
        choices=["auto", "strata", "none"],
    )
    class_weight: str = flag(MODEL, "balanced", "weigh classes equally, or images", choices=["balanced", "none"])
    epochs: int | None = flag(
        MODEL, None, "tutorial: passes over the images (default: 25)", type=whole_number(1), metavar="N"
    )
    batch_size: int | None = flag(
        MODEL, None, "tutorial: images a training step (default: 8)", type=whole_number(1), metavar="N"
    )
    learning_rate: float | None = flag(
        MODEL, None, "tutorial: Adam's, at the start (default: 0.001)", type=between(0, 1), metavar="X"
    )
    rotations: int | None = flag(
        MODEL, None, "tutorial: rotated copies an image (default: 1)", type=whole_number(0), metavar="K"
    )

    report: Path | None = flag(
        OUTPUTS,
        None,
        "HTML report (default: beside the other outputs)",
        type=output_of(".html", ".htm"),
        metavar="FILE",
        either="report",
    )

    def __post_init__(self) -> None:
        """Reject flags that apply to no recipe of the run."""
        super().__post_init__()
        known = {one.name for recipe in self.recipes() for one in fields(recipe)} | {"recipe", "class_weight"}
        changed = [one.name for one in self._of(MODEL) if getattr(self, one.name) != one.default]
        if unused := [f"--{name.replace('_', '-')}" for name in changed if name not in known]:
            raise InputError(f"{', '.join(unused)} has no meaning with --recipe {self.recipe}; leave it out")

    def _of(self, *groups: str) -> list[Field]:
        """Return the flags of some groups."""
        return [one for one in fields(self) if one.metadata["group"] in groups]

    def recipes(self) -> list[Recipe]:
        """Return the recipe of the model, and after it the one that it is compared with, if any."""
        return [self.recipe_of(self.recipe, self.pooling)]

    def recipe_of(self, name: str, pooling: str | None) -> Recipe:
        """Return a recipe with what the flags say of it."""
        kind = RECIPES[name]
        own = {"pooling": pooling, "balanced": self.class_weight == "balanced"}
        given = {one.name: getattr(self, one.name, None) for one in fields(kind)} | own
        return kind(**{name: value for name, value in given.items() if value is not None})

    def settings(self) -> dict[str, object]:
        """Return the settings as a JSON file has them; None where no recipe of the run has such a setting."""
        found: dict[str, object] = {one.name: getattr(self, one.name) for one in self._of(MODEL)}
        for recipe in reversed(self.recipes()):
            found |= {name: getattr(recipe, name) for name in found if hasattr(recipe, name)}
        return found


@dataclass(frozen=True, kw_only=True)
class OutcomeOptions:
    """From which probability on an image is predicted positive: as given, chosen, or the likeliest."""

    threshold: float | None = flag(
        EVALUATION,
        None,
        "predict positive from this probability on (default: the likeliest class, or the saved model's)",
        type=between(0, 1),
        metavar="X",
        either="operating point",
    )
    target_sensitivity: float | None = flag(
        EVALUATION,
        None,
        "choose the threshold that reaches this sensitivity, in training only",
        type=between(0, 1),
        metavar="X",
        either="operating point",
    )
    prevalence: float | None = flag(
        EVALUATION, None, "report PPV and NPV at this prevalence", type=between(0, 1), metavar="X"
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(OutcomeOptions):
    """How a recipe is evaluated."""

    test_size: float = flag(EVALUATION, 0.2, "share of test images", type=between(0, 1), metavar="X")
    split: str | None = flag(EVALUATION, None, "unit kept together (default: patient)", choices=["patient", "image"])
    folds: int | None = flag(EVALUATION, None, "cross-validate, then train on all", type=whole_number(2), metavar="K")
    repeats: int = flag(EVALUATION, 1, "of the cross-validation", type=whole_number(1), metavar="R")
    leave_one_site_out: bool = flag(EVALUATION, False, "also test on each site in turn")


def recipe_name(text: str) -> str:
    """Parse a recipe with or without its pooling, such as ``"probe:global"``, for `argparse`."""
    recipe, colon, pooling = text.partition(":")
    if recipe not in RECIPES or (colon and pooling not in POOLINGS):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no recipe: use {' or '.join(RECIPES)}, alone or with a pooling ({', '.join(POOLINGS)}), such "
            "as probe:global"
        )
    return text


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(EvaluationOptions, ModelOptions):
    """All that a training run can be asked for."""

    allow_informative_missingness: bool = flag(DATA, False, "train even if missing values predict the class")
    compare: str | None = flag(
        EVALUATION,
        None,
        "also evaluate this recipe (tutorial, probe) on the same images, split, folds and repeats, and report the "
        "difference in ROC AUC; every other flag holds for both recipes, where it applies to them",
        type=recipe_name,
        metavar="RECIPE[:POOLING]",
    )
    output_dir: Path | None = flag(
        OUTPUTS,
        None,
        "folder of all outputs (default: beside the model and the plot)",
        "-o",
        type=Path,
        metavar="DIR",
    )
    plot: Path | None = flag(OUTPUTS, None, "learning curves (default: NAME.plot.png)", "-p", type=Path, metavar="FILE")
    model: Path | None = flag(
        OUTPUTS,
        None,
        "NAME.h5 (default: covid19.model.h5, whose plots and report lack NAME.)",
        "-m",
        type=Path,
        metavar="FILE",
    )
    evaluation_plot: Path | None = flag(
        OUTPUTS, None, "default: NAME.evaluation.png beside the plot", type=Path, metavar="FILE"
    )
    json: Path | None = flag(
        OUTPUTS, None, "default: NAME.json beside the model", type=output_of(".json"), metavar="FILE"
    )

    def __post_init__(self) -> None:
        """Reject flags that contradict each other."""
        super().__post_init__()
        trained, *compared = self.recipes()
        if trained in compared:
            raise InputError(
                f"--compare {name_of(trained)} is the recipe that is trained; name another recipe or pooling"
            )

    def recipes(self) -> list[Recipe]:
        """Return the recipe of the model, and after it the one that it is compared with, if any."""
        name, _, pooling = (self.compare or "").partition(":")
        return [*super().recipes(), *([self.recipe_of(name, pooling or None)] if name else [])]

    def outputs(self) -> dict[str, Path]:
        """Return where the run writes, by the flags that name it.

        What is not named follows the model: beside ``NAME.h5`` lie ``NAME.json``, ``NAME.plot.png`` and so on, so that
        a second model in the same folder leaves the first one's results alone. The tutorial's names have no prefix.
        """
        model = self.model or (self.output_dir or Path()) / f"{DEFAULT_NAME}.model.h5"
        beside_model = self.output_dir or model.parent
        name = model.name.removesuffix(model.suffix).removesuffix(".model")
        prefix = "" if name == DEFAULT_NAME else f"{name}."
        plot = self.plot or beside_model / f"{prefix}plot.png"
        beside_plot = self.output_dir or plot.parent
        evaluation = self.evaluation_plot or beside_plot / f"{prefix}evaluation.png"
        for flag_name, path, suffixes, what in (
            ("--plot", plot, FIGURES, "a figure"),
            ("--evaluation-plot", evaluation, FIGURES, "a figure"),
            ("--model", model, (".h5", ".hdf5", ".model"), "a model"),
        ):
            if path.suffix.lower() not in suffixes:
                raise InputError(f"{flag_name} {path}: {what} is written as one of {', '.join(suffixes)}")
        found = {"--plot": plot, "--evaluation-plot": evaluation, "--model": model}
        found["--json"] = self.json or beside_model / f"{name}.json"
        return found if self.no_report else found | {"--report": self.report or beside_plot / f"{prefix}report.html"}

    def settings(self) -> dict[str, object]:
        """Return the settings as the run's JSON file has them."""
        found = {one.name: getattr(self, one.name) for one in self._of(DATA, EVALUATION) if one.name != "dataset"}
        compare = next((name_of(recipe) for recipe in self.recipes()[1:]), None)
        pattern = self.patient_from.pattern if self.patient_from else None
        return super().settings() | found | {"compare": compare, "patient_from": pattern, "seed": self.seed}


def name_of(recipe: Recipe) -> str:
    """Return a recipe as ``--compare`` names it, such as ``"probe:global"``."""
    return f"{recipe.name}:{recipe.pooling}"
