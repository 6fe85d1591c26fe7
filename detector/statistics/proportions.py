"""Proportions with their intervals over patients, and predictive values."""

from __future__ import annotations

import numpy as np

from detector.statistics.metric import WIDTH, Metric
from detector.statistics.resampling import LEVEL, effective_size, kish_number, wilson


def proportion(
    hits: np.ndarray, patients: np.ndarray, is_positive: np.ndarray | None = None, inflation: float = 1.0
) -> Metric:
    """Return a proportion of images with Wilson's interval over patients.

    With several images a patient the interval is that of as many independent images (`effective_size`), with Student's
    quantile for Kish's number of patients. Both are found in each class by itself and added up, since a split fixes
    the classes' sizes: a patient with half of the images of a class does not hide behind the other class. By simulation
    of 20 patients a class, one with half of a class's images, the accuracy's interval then covers 0.93 to 0.99.

    Parameters
    ----------
    hits : ndarray of shape (n,) or (repeats, n)
        Whether each image is a hit; of repeats, the mean is taken.
    patients : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool, optional
        By default all images are of the positive class.
    inflation : float, default=1
        By how much the variance exceeds that of one model's predictions: of out-of-fold ones, `auc.refit_inflation`.
    """
    from scipy.stats import norm, t

    hits, patients = np.atleast_2d(hits).mean(axis=0), np.asarray(patients)
    n, count = len(hits), len(set(patients.tolist()))
    if not n:
        return Metric.unavailable("no images")
    positive = np.ones(n, bool) if is_positive is None else np.asarray(is_positive, bool)
    sides = [side for side in (positive, ~positive) if side.any()]
    # The variance of a mean over classes is that of each class's mean, by its share squared.
    shares = np.array([side.mean() for side in sides])
    size = float(1 / (shares**2 / [effective_size(hits[side], patients[side]) for side in sides]).sum())
    z = float(norm.ppf((1 + LEVEL) / 2))
    # Where all images agree, a patient is one observation.
    if 1 < count < n and abs(size - count) > WIDTH:
        images = [np.unique(patients[side], return_counts=True)[1] for side in sides]
        freedom = float(1 / (shares**2 / [max(kish_number(one), 1.0) for one in images]).sum()) - 1
        z = float(t.ppf((1 + LEVEL) / 2, max(freedom, 1.0)))
    n_positive, value = int(positive.sum()), float(hits.mean())
    return Metric(value, *wilson(value, size / inflation, z), n_positive, n - n_positive, n_patients=count)


def predictive_values(sensitivity: Metric, specificity: Metric, prevalence: float) -> tuple[Metric, Metric]:
    """Return the positive and the negative predictive value at a prevalence.

    The odds of a predictive value are those of the prevalence, multiplied by a likelihood ratio: a ratio of two
    independent proportions. Its interval is recovered from those of sensitivity and specificity, which are over
    patients. For 20 v 20 to 200 v 200 patients and five pairs of sensitivity and specificity from 0.60 to 0.98 it
    covers, by exact enumeration, 0.94 to 0.97; for 10 v 10, 0.91 to 0.97.

    Reference: A. Donner, G. Y. Zou, "Closed-form confidence intervals for functions of the normal mean and standard
    deviation", Statistical Methods in Medical Research 21 (2012): MOVER-R, the method of variance estimates recovery
    for ratios.

    Parameters
    ----------
    prevalence : float
        Share of patients with the disease among those who are tested, in (0, 1).

    Returns
    -------
    ppv, npv : Metric
        Unavailable where no image has that prediction.
    """
    missing = next((one for one in (sensitivity, specificity) if not one.available), None)
    if missing is not None:
        return (Metric.unavailable(missing.reason),) * 2
    n_patients = sensitivity.n_patients + specificity.n_patients
    counts = sensitivity.n_positive, specificity.n_negative, "", n_patients
    metrics = []
    for one, other, share, what in (
        (sensitivity, specificity, prevalence, "positive"),
        (specificity, sensitivity, 1.0 - prevalence, "negative"),
    ):
        true, false = (one.point, one.low, one.high), (1.0 - other.point, 1.0 - other.high, 1.0 - other.low)
        if true[0] + false[0] <= 0:
            metrics.append(Metric.unavailable(f"no image is predicted {what}"))
            continue
        ratios = np.array([true[0] / false[0] if false[0] > 0 else np.inf, *_ratio_interval(true, false)])
        # The share whose odds are those of the prevalence, times the likelihood ratio.
        with np.errstate(all="ignore"):
            point, low, high = np.where(ratios > 0, share / (share + (1.0 - share) / ratios), 0.0).tolist()
        # Rounding must not keep the interval from its own value.
        metrics.append(Metric(point, min(low, point), max(high, point), *counts))
    return metrics[0], metrics[1]


def _ratio_interval(
    numerator: tuple[float, float, float], denominator: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the interval of a ratio of two proportions, each with its bounds; infinite above where it may be by 0.

    The lower bound is written with the root in the denominator, where nothing is divided by 0 if a proportion is.
    """
    (one, one_low, one_high), (other, other_low, other_high) = numerator, denominator
    product = one * other
    below, by = one_low * (2 * one - one_low), other_high * (2 * other - other_high)
    low = below / (product + np.sqrt(max(product**2 - below * by, 0.0))) if below > 0 else 0.0
    above, by = one_high * (2 * one - one_high), other_low * (2 * other - other_low)
    high = (product + np.sqrt(max(product**2 - above * by, 0.0))) / by if by > 0 else np.inf
    return float(low), float(high)
