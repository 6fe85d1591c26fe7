"""The difference between two areas under the ROC curve on the same images, with its interval over patients."""

from __future__ import annotations

import numpy as np

from detector.statistics.intervals import LEVEL, percentiles, resampled
from detector.statistics.metric import WIDTH, Metric
from detector.statistics.roc import roc_auc, weighted_auc
from detector.statistics.roc_interval import refit_inflation


def auc_difference(
    scores: tuple[np.ndarray, np.ndarray],
    is_positive: np.ndarray,
    patients: np.ndarray,
    seed: int,
    folds: np.ndarray | None = None,
) -> Metric:
    """Return by how much the first scores' area under the ROC curve exceeds the second's, with a paired interval.

    Both areas are those of `roc_auc`: images are compared within a fold of a repeat only, and repeats are averaged.
    Patients are resampled, classes apart, and both areas are computed from the same draws, so that what one patient
    adds to both cancels. The percentile interval is widened about the difference (`_widening`).

    Where an area is 0 or 1, or no draw changes the difference, there is nothing to resample: the intervals of both
    areas are then combined as those of independent samples, which is wider. Equal scores differ by exactly 0, and
    there is no interval.

    References: C. M. Rutter, Academic Radiology 7 (2000), for draws over patients; G. Y. Zou, A. Donner, "Construction
    of confidence limits about effect measures: a general approach", Statistics in Medicine 27 (2008), for the
    combination of intervals.

    Parameters
    ----------
    scores : tuple of two ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int
        Of the draws.
    folds : ndarray of shape (repeats, n), int, optional
        Which fold held each image out; by default one model scored all.

    Returns
    -------
    Metric
        In [-1, 1]; unavailable for the reasons of `roc_auc`.
    """
    first, second = (roc_auc(one, is_positive, patients, folds=folds) for one in scores)
    if not first.available:
        return first
    counts = first.n_positive, first.n_negative
    value = round(first.point - second.point, 12)
    if np.array_equal(*scores):
        return Metric(value, None, None, *counts, n_patients=first.n_patients)

    def difference(weights: np.ndarray) -> np.ndarray:
        found = np.zeros(len(weights))
        for repeat, (one, other) in enumerate(zip(*scores, strict=True)):
            strata = None if folds is None else folds[repeat]
            areas = (weighted_auc(ranked, is_positive, weights, strata) for ranked in (one, other))
            found += np.subtract(*areas) / len(scores[0])
        return found

    _, draws = resampled({"difference": difference}, is_positive, patients, seed)["difference"]
    low, high = percentiles(draws)
    certain = any(not WIDTH < area.point < 1 - WIDTH for area in (first, second))
    if certain or high - low <= WIDTH:
        below = np.hypot(first.point - first.low, second.high - second.point)
        above = np.hypot(first.high - first.point, second.point - second.low)
    else:
        fewest = min(len(set(patients[side])) for side in (is_positive, ~is_positive))
        refitted = folds is not None and len(np.unique(folds)) > 1
        factor = _widening(fewest, (first.point, second.point) if refitted else ())
        below, above = factor * (value - low), factor * (high - value)
    bounds = max(value - float(below), -1.0), min(value + float(above), 1.0)
    return Metric(value, *bounds, *counts, n_patients=first.n_patients)


def _widening(fewest: int, refitted: tuple[float, ...]) -> float:
    """Return how many times wider than percentiles an interval of a difference has to be.

    Of few patients the bootstrap's variance is too small by (m - 1) / m, and Student's quantile takes the place of the
    normal one. Of out-of-fold scores the bootstrap leaves out that the models are fitted to the sample as well: the
    variance is multiplied by `refit_inflation`, its mean over both areas. By simulation of ridge regression on 300
    features, 50 v 50 patients, 5 folds, 300 data sets, areas of 0.50 to 0.83: without this the interval covers the true
    difference in 0.84 to 0.86 of the data sets, with it in 0.93 to 0.96.

    Reference: T. C. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69 (2015),
    for the expanded percentile interval.

    Parameters
    ----------
    fewest : int
        Patients of the smaller class, from 2 on.
    refitted : tuple of float
        The areas, if the scores are out of fold; else empty.
    """
    from scipy.stats import norm, t

    quantile = (1 + LEVEL) / 2
    student = t.ppf(quantile, fewest - 1) / norm.ppf(quantile) * np.sqrt(fewest / (fewest - 1))
    return float(student * np.sqrt(np.mean([refit_inflation(area) for area in refitted] or [1.0])))
