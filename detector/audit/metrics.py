"""The figures that stand beside an AUC and say whether it can be believed; none needs more than the run already has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.audit.linear_baseline import border_matrix, linear_scores, site_area
from detector.statistics.intervals import Estimate, resampled
from detector.statistics.probabilities import (
    Calibration,
    average_precision,
    brier,
    predictive_values,
    recalibration,
)
from detector.statistics.roc import Area, patient_area
from detector.training.evaluation_result import Outcome
from detector.training.extraction import FeatureExtractor

WITHIN, SITE, BORDER, ALIKE = "auc within source", "auc of the site", "auc of the border", "auc among alike films"
PRECISION, BRIER, CALIBRATION, PPV, NPV = "average precision", "brier", "calibration", "ppv", "npv"
DECILES = 10

# A figure, or the words that say why there is none.
Figure = Area | Estimate | Calibration | str


@dataclass(frozen=True)
class Scored:
    """Predictions on images that no head had seen, with what the images are.

    Attributes
    ----------
    scores : ndarray of shape (repeats, n)
        Probability of the positive class.
    is_positive : ndarray of shape (n,), bool
    patients, strata : ndarray of shape (n,), str
    deciles : ndarray of shape (n,), int, or None
        Of the out-of-fold score of the border; None where it could not be had.
    seed : int
    """

    scores: np.ndarray
    is_positive: np.ndarray
    patients: np.ndarray
    strata: np.ndarray
    deciles: np.ndarray | None
    seed: int


def figures(
    extractor: FeatureExtractor, outcome: Outcome, positive: int, seed: int, prevalence: float | None = None
) -> dict[str, Figure]:
    """Return every figure by the name that it is printed under.

    Parameters
    ----------
    extractor : FeatureExtractor
    outcome : Outcome
    positive : int
        Index of the positive class.
    seed : int
        Of folds and bootstrap.
    prevalence : float, optional
        Share of the ill for which predictive values are given.

    Returns
    -------
    dict of str to Area, Estimate, Calibration or str
    """
    images, truth = extractor.dataset.images, extractor.dataset.labels == positive
    strata = np.array([image.stratum for image in images])
    border = linear_scores(border_matrix(extractor.properties), truth, extractor.patients, seed)
    deciles = deciles_of(border)
    rows = outcome.held_out
    scored = Scored(
        outcome.probabilities[..., positive],
        truth[rows],
        extractor.patients[rows],
        strata[rows],
        None if deciles is None else deciles[rows],
        seed,
    )
    found: dict[str, Figure] = {
        WITHIN: within_source(scored),
        SITE: site_area(images, truth, extractor.patients, seed),
        BORDER: "undefined, too few patients to cross-validate",
        ALIKE: among_alike_films(scored),
        **of_probabilities(scored),
    }
    if len(border):
        found[BORDER] = patient_area(border[None], truth, extractor.patients, seed)
    if prevalence is not None:
        found[PPV], found[NPV] = at_prevalence(outcome, scored, prevalence)
    return found


def deciles_of(border: np.ndarray) -> np.ndarray | None:
    """Return in which tenth of all each image's border score lies, from 0; None where there are no scores."""
    return np.digitize(border, np.quantile(border, np.arange(1, DECILES) / DECILES)) if len(border) else None


def within_source(scored: Scored) -> Area | str:
    """Compare images of one site and one view only."""
    found = patient_area(scored.scores, scored.is_positive, scored.patients, scored.seed, scored.strata)
    return found or "undefined, no source holds both classes"


def among_alike_films(scored: Scored) -> Area | str:
    """Compare images of one site and view whose edges look alike: of one tenth of the border's out-of-fold score.

    Reference: H. Janes, M. S. Pepe, "Adjusting for covariate effects on classification accuracy using the
    covariate-adjusted receiver operating characteristic curve", Biometrika 96 (2009). Where no site is known, the
    deciles alone are the strata.
    """
    if scored.deciles is None:
        return "undefined, too few patients to cross-validate the border"
    alike = np.char.add(np.char.add(scored.strata.astype(str), " / "), scored.deciles.astype(str))
    found = patient_area(scored.scores, scored.is_positive, scored.patients, scored.seed, alike)
    return found or "undefined, no films of both classes look alike around the edge"


def of_probabilities(scored: Scored) -> dict[str, Figure]:
    """Return average precision, Brier score and calibration, means over repeats."""

    def mean(statistic: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> Callable:
        return lambda weights: np.mean([statistic(one, scored.is_positive, weights) for one in scored.scores], axis=0)

    found = resampled(
        {PRECISION: mean(average_precision), BRIER: mean(brier), ("intercept", "slope"): mean(recalibration)},
        scored.is_positive,
        scored.patients,
        scored.seed,
    )
    calibration: Figure = Calibration(found["intercept"], found["slope"])
    if not np.isfinite(found["slope"].value):
        calibration = "undefined, no image was ranked wrongly"
    return {PRECISION: found[PRECISION], BRIER: found[BRIER], CALIBRATION: calibration}


def at_prevalence(outcome: Outcome, scored: Scored, prevalence: float) -> tuple[Estimate, Estimate]:
    """Return the predictive values of the run's sensitivity and specificity among people of whom few are ill."""
    people = [len(set(scored.patients[side])) for side in (scored.is_positive, ~scored.is_positive)]
    result = outcome.evaluation
    return predictive_values(result.sensitivity.value, result.specificity.value, *people, prevalence)


def as_numbers(found: dict[str, Figure]) -> dict[str, object]:
    """Return figures for a JSON file: one that is not defined is null."""
    return {name: None if isinstance(figure, str) else figure for name, figure in found.items()}


def areas(found: dict[str, Figure], names: Sequence[str]) -> dict[str, Area]:
    """Return those of some figures that are areas under the curve, and defined."""
    return {name: found[name] for name in names if isinstance(found[name], Area)}
