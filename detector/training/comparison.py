"""A second recipe, evaluated on the same images as the one that is trained, and the difference between both."""

from __future__ import annotations

from dataclasses import dataclass

from detector.statistics.auc import auc_difference, roc_auc
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan
from detector.training.crossvalidation import EvaluatedHead, out_of_fold
from detector.training.dataset import FeatureSet
from detector.training.options import name_of
from detector.training.recipes import Recipe


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


def compare(
    samples: FeatureSet, recipes: tuple[Recipe, Recipe], positive: int, plan: FoldPlan, evaluated: EvaluatedHead
) -> RecipeComparison:
    """Evaluate a second recipe on the images, split, folds and repeats of a training run.

    Parameters
    ----------
    samples : FeatureSet
        Features of the second recipe.
    recipes : (Recipe, Recipe)
        The run's own, and the second.
    positive : int
    plan : FoldPlan
    evaluated : EvaluatedHead
        Of the run's own recipe.
    """
    own, other = evaluated.predictions, out_of_fold(samples, positive, recipes[1], plan).predictions
    scores, other_scores = own.probabilities[..., positive], other.probabilities[..., positive]
    is_positive = own.labels == positive
    return RecipeComparison(
        name_of(recipes[0]),
        name_of(recipes[1]),
        evaluated.evaluation.roc_auc,
        roc_auc(other_scores, is_positive, own.patients, folds=own.folds),
        auc_difference((scores, other_scores), is_positive, own.patients, plan.seed, own.folds),
    )
