"""The metrics of a run that say what its ROC AUC is worth; none needs more than the run already has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detector.audit.evidence import BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.audit.linear_baseline import border_matrix, cross_validate, metadata_auc, property_matrix
from detector.statistics.auc import roc_auc
from detector.statistics.metric import Metric
from detector.statistics.probabilities import of_probabilities
from detector.statistics.proportions import predictive_values
from detector.statistics.strata import crossed
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor

PPV, NPV = "ppv", "npv"


@dataclass(frozen=True)
class ScoredImages:
    """Scores of images by heads that had not seen them, with what the images are.

    Attributes
    ----------
    scores : ndarray of shape (repeats, n)
        Probability of the positive class.
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    strata : ndarray of shape (n,), str
        Site and view; empty where the site is not known.
    folds : ndarray of shape (repeats, n), int
        Which fold of each repeat held an image out; all 0 of a single model.
    """

    scores: np.ndarray
    is_positive: np.ndarray
    patients: np.ndarray
    strata: np.ndarray
    folds: np.ndarray

    def auc(self, *columns: np.ndarray) -> Metric:
        """Return the ROC AUC among images that one model scored and that agree in all of some properties."""
        strata = crossed(*columns) if columns else None
        return roc_auc(self.scores, self.is_positive, self.patients, strata, self.folds)


@dataclass(frozen=True)
class MetricSettings:
    """How a run's metrics are computed.

    Attributes
    ----------
    positive : int
        Index of the positive class.
    seed : int
        Of folds and bootstrap.
    balanced : bool
        Whether the classes counted equally in training, so that the probabilities are those of equal frequencies.
    prevalence : float, optional
        Share of patients with the disease for which predictive values are given.
    """

    positive: int
    seed: int
    balanced: bool = True
    prevalence: float | None = None


def compute_metrics(
    extractor: FeatureExtractor, evaluated: EvaluatedHead, setting: MetricSettings
) -> dict[str, Metric]:
    """Return the metrics beside those of the evaluation, by name.

    Parameters
    ----------
    extractor : FeatureExtractor
    evaluated : EvaluatedHead
    setting : MetricSettings

    Returns
    -------
    dict of str to Metric
    """
    images, truth = extractor.dataset.images, extractor.dataset.labels == setting.positive
    strata = np.array([image.stratum for image in images])
    border = cross_validate(border_matrix(extractor.properties), truth, extractor.patients, setting.seed)
    files = cross_validate(property_matrix(extractor.properties), truth, extractor.patients, setting.seed)
    rows, predictions = evaluated.held_out, evaluated.predictions
    scored = ScoredImages(
        predictions.probabilities[..., setting.positive],
        truth[rows],
        extractor.patients[rows],
        strata[rows],
        predictions.folds,
    )
    found = {
        STRATIFIED: stratified(scored),
        METADATA: metadata_auc(images, truth, extractor.patients, setting.seed),
        BORDER: border.auc(truth, extractor.patients),
        FILES: files.auc(truth, extractor.patients),
        BORDER_ADJUSTED: border_adjusted(scored, border.deciles()[rows] if border.possible else None),
        **of_probabilities(
            scored.scores, scored.is_positive, scored.patients, scored.folds, setting.seed, setting.balanced
        ),
    }
    if setting.prevalence is not None:
        result = evaluated.evaluation
        both = predictive_values(result.sensitivity, result.specificity, setting.prevalence)
        # A patient with images of both classes is one.
        found[PPV], found[NPV] = (
            replace(one, n_patients=result.accuracy.n_patients) if one.available else one for one in both
        )
    return found


def stratified(scored: ScoredImages) -> Metric:
    """Compare images of one site and view only."""
    if (scored.strata == "").all():
        return Metric.unavailable("the site of the images is not known")
    return scored.auc(scored.strata)


def border_adjusted(scored: ScoredImages, deciles: np.ndarray | None) -> Metric:
    """Compare images of one site and view whose borders are similar: of one decile of the border's out-of-fold score.

    Reference: H. Janes, M. S. Pepe, "Adjusting for covariate effects on classification accuracy using the
    covariate-adjusted receiver operating characteristic curve", Biometrika 96 (2009).

    Parameters
    ----------
    scored : ScoredImages
    deciles : ndarray of shape (n,), int, or None
        None where the border could not be cross-validated.
    """
    if deciles is None:
        return Metric.unavailable("too few patients to cross-validate the border")
    if (scored.strata == "").all():
        return Metric.unavailable("the site of the images is not known")
    return scored.auc(scored.strata, deciles)
