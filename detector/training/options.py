"""The flags of a training run, and the settings that they stand for."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from detector import InputError
from detector.cli.arguments import (
    Parser,
    add_common,
    add_output_dir,
    add_report,
    between,
    column_names,
    output_of,
    whole_number,
)
from detector.cluster.connection import ComputeOptions, add_ray, compute_options
from detector.network.backbone import POOLINGS, RECIPES
from detector.network.head import Hyperparameters
from detector.training.crossvalidation import OperatingPoint
from detector.training.recipes import ProbeRecipe, Recipe, TutorialRecipe

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


@dataclass(frozen=True)
class DataOptions:
    """Which images are used, and how.

    Attributes
    ----------
    dataset : Path
        A folder per class.
    positive_class : str
    input : {"image", "lungs"}
        With ``"lungs"`` everything else is masked out.
    clinical_columns : tuple of str
        Columns of the manifest that join the features.
    allow_informative_missingness : bool
        Train even if the absence of clinical values predicts the class.
    """

    dataset: Path
    positive_class: str = "covid"
    input: str = "image"
    clinical_columns: tuple[str, ...] = ()
    allow_informative_missingness: bool = False


TUTORIAL_ONLY = ("epochs", "batch_size", "learning_rate", "rotations")  # settings that the probe does not have


@dataclass(frozen=True)
class ModelOptions:
    """What is fitted, and the recipe that it is compared with.

    Attributes
    ----------
    recipe : {"tutorial", "probe"}
    pooling : {"tutorial", "global", "lungs"}
    adjust : {"auto", "strata", "none"}
        Whether a probe is fitted within site and view.
    class_weight : {"balanced", "none"}
    epochs, batch_size, learning_rate, rotations : number
        Of the tutorial's recipe.
    compared : (str, str), optional
        Recipe and pooling of the second recipe; all other settings hold for both, where they apply.
    """

    recipe: str = "tutorial"
    pooling: str = "tutorial"
    adjust: str = "auto"
    class_weight: str = "balanced"
    epochs: int = Hyperparameters.epochs
    batch_size: int = Hyperparameters.batch_size
    learning_rate: float = Hyperparameters.learning_rate
    rotations: int = TutorialRecipe.rotations
    compared: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Recipe and pooling of each recipe of the run."""
        return ((self.recipe, self.pooling), *([self.compared] if self.compared else []))

    def trained_recipe(self) -> Recipe:
        """Return the recipe of the model that is saved, not yet adjusted."""
        return self._recipe(self.recipe, self.pooling)

    def compared_recipe(self) -> Recipe | None:
        """Return the recipe that it is compared with, not yet adjusted, or None."""
        return self._recipe(*self.compared) if self.compared else None

    def settings(self) -> dict[str, object]:
        """Return the settings as a JSON file has them; None for the tutorial's where no recipe is the tutorial's."""
        found = asdict(self)
        del found["compared"]
        used = any(recipe == "tutorial" for recipe, _ in self.names)
        return found if used else found | dict.fromkeys(TUTORIAL_ONLY)

    def _recipe(self, name: str, pooling: str) -> Recipe:
        balanced = self.class_weight == "balanced"
        if name == "probe":
            return ProbeRecipe(balanced=balanced, pooling=pooling)
        hyperparameters = Hyperparameters(self.epochs, self.batch_size, self.learning_rate)
        return TutorialRecipe(hyperparameters, pooling, self.rotations, balanced)


@dataclass(frozen=True)
class EvaluationOptions:
    """How a model is evaluated.

    Attributes
    ----------
    seed : int
    split : {"patient", "image"}, optional
        What is kept on one side; by default patients, where any is known.
    test_size : float
        Share of the images held out, where there are no folds.
    folds : int, optional
        Cross-validate with so many.
    repeats : int
    point : OperatingPoint
    prevalence : float, optional
        At which predictive values are reported.
    leave_one_site_out : bool
        Also test on each site in turn.
    """

    seed: int = 42
    split: str | None = None
    test_size: float = 0.2
    folds: int | None = None
    repeats: int = 1
    point: OperatingPoint = field(default_factory=OperatingPoint)
    prevalence: float | None = None
    leave_one_site_out: bool = False


@dataclass(frozen=True)
class TrainingOptions:
    """All that a training run was asked for.

    Attributes
    ----------
    data : DataOptions
    model : ModelOptions
    evaluation : EvaluationOptions
    compute : ComputeOptions
    outputs : OutputPaths
    quiet : bool
        Print results only.
    timings : bool
        Print the time that each stage took.
    """

    data: DataOptions
    model: ModelOptions
    evaluation: EvaluationOptions
    compute: ComputeOptions
    outputs: OutputPaths
    quiet: bool = False
    timings: bool = False

    def settings(self, split: str) -> dict[str, object]:
        """Return the settings as the run's JSON file has them.

        Parameters
        ----------
        split : {"patient", "image"}
            What was kept on one side.
        """
        data, evaluation, compared = self.data, self.evaluation, self.model.compared
        return self.model.settings() | {
            "input": data.input,
            "test_size": evaluation.test_size,
            "positive_class": data.positive_class,
            "seed": evaluation.seed,
            "folds": evaluation.folds,
            "repeats": evaluation.repeats,
            "threshold": evaluation.point.threshold,
            "target_sensitivity": evaluation.point.sensitivity,
            "prevalence": evaluation.prevalence,
            "clinical_columns": data.clinical_columns,
            "allow_informative_missingness": data.allow_informative_missingness,
            "leave_one_site_out": evaluation.leave_one_site_out,
            "compare": ":".join(compared) if compared else None,
            "split": split,
        }


# The tutorial's own, and what they are where nothing is said.
TUTORIAL = {field.name: field.default for field in fields(Hyperparameters)} | {"rotations": 2}


def add_recipe(parser: Parser) -> None:
    """Add the flags of both recipes. Those of the tutorial's are None where they are not given."""
    model = parser.group("model")
    model.add_argument("--recipe", choices=RECIPES, default="tutorial", help="the tutorial's, or a linear probe")
    model.add_argument(
        "--adjust",
        choices=["auto", "strata", "none"],
        default="auto",
        help="probe: fit within site and view (strata), or across; auto: within, where they hold two classes",
    )
    model.add_argument(
        "--class-weight", choices=["balanced", "none"], default="balanced", help="weigh classes equally, or images"
    )
    for flag, kind, metavar, what in (
        ("--epochs", whole_number(1), "N", "passes over the images"),
        ("--batch-size", whole_number(1), "N", "images a training step"),
        ("--learning-rate", between(0, 1), "X", "Adam's, at the start"),
        ("--rotations", whole_number(0), "K", "rotated copies an image"),
    ):
        default = TUTORIAL[flag[2:].replace("-", "_")]
        model.add_argument(flag, type=kind, metavar=metavar, help=f"tutorial: {what} (default: {default})")
    model.add_argument(
        "--pooling",
        choices=POOLINGS,
        help="features are means over the upper left (tutorial), the whole image, or the lungs "
        "(default: tutorial; with --recipe probe: lungs)",
    )


def add_compare(parser: Parser) -> None:
    """Add the flag that names a second recipe."""
    parser.group("evaluation").add_argument(
        "--compare",
        type=recipe_name,
        metavar="RECIPE[:POOLING]",
        help="also evaluate this recipe (tutorial, probe) on the same images, split, folds and repeats, and report the "
        "difference in ROC AUC; every other flag holds for both recipes, where it applies to them",
    )


def recipe_name(text: str) -> str:
    """Parse a recipe with or without its pooling, such as ``"probe:global"``, for `argparse`."""
    recipe, colon, pooling = text.partition(":")
    if recipe not in RECIPES or (colon and pooling not in POOLINGS):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no recipe: use {' or '.join(RECIPES)}, alone or with a pooling ({', '.join(POOLINGS)}), such "
            "as probe:global"
        )
    return text


def model_options(options: argparse.Namespace, lungs_only: bool = False, compare: str | None = None) -> ModelOptions:
    """Return what the flags of `add_recipe` say, with the defaults of those not given.

    Parameters
    ----------
    options : argparse.Namespace
    lungs_only : bool
        Whether all else is masked out of the images: ``--input lungs``.
    compare : str, optional
        What ``--compare`` names, with or without a pooling.

    Returns
    -------
    ModelOptions

    Raises
    ------
    InputError
        If a flag is given that applies to no recipe of the run, or if recipe, pooling and input contradict each other.
    """
    other, _, other_pooling = (compare or "").partition(":")
    used = {options.recipe, other}
    given = {name: value for name, value in vars(options).items() if name in TUTORIAL_ONLY and value is not None}
    if "tutorial" not in used and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in TUTORIAL_ONLY if name in given)
        raise InputError(f"{flags} has no meaning with --recipe probe, which has no epochs or copies; leave it out")
    if "probe" not in used and options.adjust == "strata":
        raise InputError("--adjust strata needs --recipe probe: the tutorial's recipe is never adjusted")
    pooling = options.pooling or _usual_pooling(options.recipe, lungs_only)
    if pooling == "lungs" and lungs_only:
        raise InputError("--pooling lungs needs the whole image; use --pooling global, or leave out --input lungs")
    compared = (other, other_pooling or _usual_pooling(other, lungs_only)) if other else None
    if compared and compared[1] == "lungs" and lungs_only:
        raise InputError(
            "--compare with lung pooling needs the whole image; use probe:global, or leave out --input lungs"
        )
    if compared == (options.recipe, pooling):
        raise InputError(
            f"--compare {':'.join(compared)} is the recipe that is trained; name another recipe or pooling"
        )
    return ModelOptions(options.recipe, pooling, options.adjust, options.class_weight, compared=compared, **given)


def _usual_pooling(recipe: str, lungs_only: bool) -> str:
    """Return the pooling of a recipe where none is named."""
    if recipe == "tutorial":
        return "tutorial"
    return "global" if lungs_only else "lungs"


def add_training(parser: Parser) -> None:
    """Add the flags of a training run."""
    add_data(parser)
    add_recipe(parser)
    add_evaluation(parser)
    add_outputs(parser)
    add_common(parser, tensorflow=True)
    add_ray(parser)


def training_options(options: argparse.Namespace) -> TrainingOptions:
    """Return what the flags of `add_training` say.

    Raises
    ------
    InputError
        If flags contradict each other.
    """
    return TrainingOptions(
        data_options(options),
        model_options(options, options.input == "lungs", options.compare),
        evaluation_options(options),
        compute_options(options),
        output_options(options),
        options.quiet,
        options.timings,
    )


def add_data(parser: Parser) -> None:
    """Add the flags that say which images are used, and how."""
    data = parser.group("data")
    data.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    data.add_argument("--positive-class", default="covid", metavar="CLASS", help="class whose sensitivity is reported")
    data.add_argument("--input", choices=["image", "lungs"], default="image", help="lungs: mask out everything else")
    data.add_argument("--clinical-columns", type=column_names, default=(), metavar="COLUMN,…", help="of manifest.csv")
    data.add_argument(
        "--allow-informative-missingness", action="store_true", help="train even if missing values predict the class"
    )


def data_options(options: argparse.Namespace) -> DataOptions:
    """Return what the flags of `add_data` say."""
    return DataOptions(
        options.dataset,
        options.positive_class,
        options.input,
        options.clinical_columns,
        options.allow_informative_missingness,
    )


def add_evaluation(parser: Parser) -> None:
    """Add the flags that say on which images, and at which threshold, a model is evaluated."""
    evaluation = parser.group("evaluation")
    evaluation.add_argument("--test-size", type=between(0, 1), default=0.2, metavar="X", help="share of test images")
    evaluation.add_argument("--split", choices=["patient", "image"], help="unit kept together (default: patient)")
    evaluation.add_argument("--folds", type=whole_number(2), metavar="K", help="cross-validate, then train on all")
    evaluation.add_argument("--repeats", type=whole_number(1), default=1, metavar="R", help="of the cross-validation")
    evaluation.add_argument("--leave-one-site-out", action="store_true", help="also test on each site in turn")
    add_compare(parser)
    point = evaluation.add_mutually_exclusive_group()
    point.add_argument("--threshold", type=between(0, 1), metavar="X", help="predict positive from this probability on")
    point.add_argument(
        "--target-sensitivity",
        type=between(0, 1),
        metavar="X",
        help="choose the threshold that reaches this sensitivity",
    )
    evaluation.add_argument(
        "--prevalence", type=between(0, 1), metavar="X", help="report PPV and NPV at this prevalence"
    )


def evaluation_options(options: argparse.Namespace) -> EvaluationOptions:
    """Return what the flags of `add_evaluation` say."""
    from detector.training.crossvalidation import OperatingPoint

    return EvaluationOptions(
        options.seed,
        options.split,
        options.test_size,
        options.folds,
        options.repeats,
        OperatingPoint(options.threshold, options.target_sensitivity),
        options.prevalence,
        options.leave_one_site_out,
    )


def add_outputs(parser: Parser) -> None:
    """Add the flags that say where a training run writes, and what it prints."""
    outputs = add_output_dir(parser, "all outputs (default: beside the model and the plot)")
    outputs.add_argument("-p", "--plot", type=Path, metavar="FILE", help="learning curves (default: NAME.plot.png)")
    outputs.add_argument(
        "-m",
        "--model",
        type=Path,
        metavar="FILE",
        help="NAME.h5 or NAME.keras (default: covid19.model.h5, whose plots and report lack NAME.)",
    )
    outputs.add_argument(
        "--evaluation-plot", type=Path, metavar="FILE", help="default: NAME.evaluation.png beside the plot"
    )
    outputs.add_argument("--json", type=output_of(".json"), metavar="FILE", help="default: NAME.json beside the model")
    outputs.add_argument("--timings", action="store_true", help="print the time that each stage took")
    add_report(parser, "NAME.report.html beside the plot; without NAME. for covid19.model.h5")


def output_options(options: argparse.Namespace) -> OutputPaths:
    """Return where the flags of `add_outputs` say that a run writes."""
    given = NamedOutputs(
        options.output_dir, options.plot, options.evaluation_plot, options.model, options.json, options.report
    )
    return output_paths(given, not options.no_report)
