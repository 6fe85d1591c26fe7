"""What a training run was asked for: small frozen groups of settings, made once from the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from detector.cluster.flags import ComputeOptions
from detector.network.hyperparameters import Hyperparameters
from detector.training.crossvalidation import OperatingPoint
from detector.training.output_paths import OutputPaths
from detector.training.recipes import ProbeRecipe, Recipe, TutorialRecipe


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
