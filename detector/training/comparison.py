"""A second recipe, evaluated on the same images as the one that is trained, and the difference between both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detector.network.backbone import COLUMNS
from detector.statistics.auc import auc_difference, roc_auc
from detector.statistics.metric import Metric
from detector.training import crossvalidation, run
from detector.training.crossvalidation import EvaluatedHead, TrainingProtocol
from detector.training.dataset import Comparison, FeatureExtractor, FeatureSet, extract
from detector.training.options import ModelOptions
from detector.training.recipes import ProbeRecipe, Recipe
from detector.training.run import DataSplit


@dataclass(frozen=True)
class SecondRecipe:
    """A recipe that is compared with the one that is trained.

    Attributes
    ----------
    recipe : TutorialRecipe or ProbeRecipe
    extractor : FeatureExtractor
        Of the same images and the same cache; reads what this recipe reads.
    """

    recipe: Recipe
    extractor: FeatureExtractor


@dataclass(frozen=True)
class RecipeComparison:
    """The ROC AUC of two recipes on the same images, and the difference.

    Attributes
    ----------
    recipe, compared_with : str
        Recipe and pooling, such as ``"probe:lungs"``: the trained one, and the other.
    roc_auc, compared_roc_auc : Metric
        Of each.
    difference : Metric
        The first minus the second.
    """

    recipe: str
    compared_with: str
    roc_auc: Metric
    compared_roc_auc: Metric
    difference: Metric

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.difference.available and not self.difference.low <= 0 <= self.difference.high


def prepare(
    model: ModelOptions, trained: Recipe, extractor: FeatureExtractor, chosen: DataSplit
) -> SecondRecipe | None:
    """Decide how the compared recipe is fitted, before anything is computed.

    Parameters
    ----------
    model : ModelOptions
    trained : TutorialRecipe or ProbeRecipe
        The run's own, adjusted or not; two probes of one run are adjusted in the same way.
    extractor : FeatureExtractor
        Of the run's own recipe.
    chosen : DataSplit

    Returns
    -------
    SecondRecipe or None
        None where no recipe is compared.

    Raises
    ------
    InputError
        If strata are asked for that do not hold two classes.
    """
    recipe = model.compared_recipe()
    if recipe is None:
        return None
    if isinstance(recipe, ProbeRecipe) and isinstance(trained, ProbeRecipe):
        recipe = replace(recipe, adjusted=trained.adjusted)
    else:
        recipe = run.decide_adjustment(recipe, model.adjust, extractor, chosen)
    columns = COLUMNS[recipe.name, recipe.pooling]
    return SecondRecipe(recipe, replace(extractor, columns=columns))


def compare(
    second: SecondRecipe, samples: FeatureSet, protocol: TrainingProtocol, chosen: DataSplit, evaluated: EvaluatedHead
) -> RecipeComparison:
    """Evaluate a second recipe on the images, split, folds and repeats of a training run.

    Features are read from the cache where the run's own recipe has put them: one forward pass gives those of every
    pooling. Only a recipe that is trained on rotated copies, compared with one that is not, needs passes of its own.

    Parameters
    ----------
    second : SecondRecipe
    samples : FeatureSet
        Of the run's own recipe.
    protocol : TrainingProtocol
    chosen : DataSplit
    evaluated : EvaluatedHead
        Of the run's own recipe.

    Returns
    -------
    RecipeComparison

    Raises
    ------
    InputError
        If the second recipe cannot be fitted to a training side.
    """
    log, other = second.extractor.log, second.recipe
    log.info(f"comparing with {name_of(other)}...")
    rows = np.arange(len(samples.labels))
    compared = Comparison(rows, samples.labels, samples.classes, samples.groups, samples.clinical)
    with log.timed("forward"):
        read = extract(second.extractor, other, compared, protocol.seed, chosen.sides)
    with log.timed("compare recipes"):
        scores = evaluated.probabilities[..., protocol.positive]
        other_scores = _probabilities(read, other, protocol, chosen)[..., protocol.positive]
        is_positive = evaluated.predictions.labels == protocol.positive
        patients, folds = evaluated.predictions.patients, evaluated.predictions.folds
        return RecipeComparison(
            name_of(protocol.recipe),
            name_of(other),
            evaluated.evaluation.roc_auc,
            roc_auc(other_scores, is_positive, patients, folds=folds),
            auc_difference((scores, other_scores), is_positive, patients, protocol.seed, folds),
        )


def name_of(recipe: Recipe) -> str:
    """Return a recipe as ``--compare`` names it, such as ``"probe:global"``."""
    return f"{recipe.name}:{recipe.pooling}"


def _probabilities(samples: FeatureSet, recipe: Recipe, protocol: TrainingProtocol, chosen: DataSplit) -> np.ndarray:
    """Return the probabilities of held-out images by heads that had not seen them, (repeats, n, classes)."""
    if chosen.plan:
        found = crossvalidation.out_of_fold(samples, protocol.positive, recipe, chosen.plan)
        return found.predictions.probabilities
    fitted = samples.fit(chosen.train, recipe, protocol.seed)
    return samples.predict_proba(fitted, chosen.held_out)[None]
