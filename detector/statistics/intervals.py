"""Intervals over patients: of proportions and predictive values, of means, and of any statistic by a bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from detector import counted
from detector.statistics.metric import FEWEST, WIDTH, Metric

LEVEL = 0.95

RESAMPLES = 2000

MOST_NUMBERS = 2_000_000  # weights held at a time: all resamples of 20,000 images would be 300 MB


def student(freedom: float = math.inf) -> float:
    """Return how many standard errors each bound is away: Student's quantile, by default the normal one."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def effective_size(hits: np.ndarray, patients: np.ndarray) -> float:
    """Return how many independent observations images of the same patients are worth.

    The design effect is the variance of the proportion over patients, divided by that over as many independent images.
    It is not below 1. Where every image agrees it cannot be estimated, and a patient counts as one observation.

    References: J. N. K. Rao, A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48
    (1992); E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24 (1998).
    """
    n, value = len(hits), float(hits.mean())
    _, inverse, images = np.unique(patients, return_inverse=True, return_counts=True)
    count = len(images)
    if count == n:
        return float(n)
    binomial = value * (1 - value) / n
    if count < 2 or binomial < WIDTH:
        return float(count)
    residuals = np.bincount(inverse, hits, minlength=count) - value * images
    clustered = count / (count - 1) * (residuals**2).sum() / n**2
    return n / max(clustered / binomial, 1.0)


def kish_number(images: np.ndarray) -> float:
    """Return Kish's effective number of patients: (Σm)² / Σm², of patients with m images each.

    Reference: L. Kish, "Survey Sampling" (1965), section 11.7.
    """
    return float(images.sum() ** 2 / (images**2).sum()) if len(images) else 0.0


def wilson(value: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion from `n` independent observations.

    Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927).
    """
    centre = value + z**2 / (2 * n)
    half = z * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    # Rounding must not keep the interval from its own value.
    return float(min(max(low, 0.0), value)), float(max(min(high, 1.0), value))


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
    hits, patients = np.atleast_2d(hits).mean(axis=0), np.asarray(patients)
    n, count = len(hits), len(set(patients.tolist()))
    if not n:
        return Metric.unavailable("no images")
    positive = np.ones(n, bool) if is_positive is None else np.asarray(is_positive, bool)
    sides = [side for side in (positive, ~positive) if side.any()]
    # The variance of a mean over classes is that of each class's mean, by its share squared.
    shares = np.array([side.mean() for side in sides])
    size = float(1 / (shares**2 / [effective_size(hits[side], patients[side]) for side in sides]).sum())
    z = student()
    # Where all images agree, a patient is one observation.
    if 1 < count < n and abs(size - count) > WIDTH:
        images = [np.unique(patients[side], return_counts=True)[1] for side in sides]
        freedom = float(1 / (shares**2 / [max(kish_number(one), 1.0) for one in images]).sum()) - 1
        z = student(max(freedom, 1.0))
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


def means(values: Mapping[str, np.ndarray], patients: np.ndarray, seed: int) -> dict[str, Metric]:
    """Return means of numbers over images, with percentile intervals of one bootstrap over patients.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (n,)
        Of paired numbers, their differences.
    patients : ndarray of shape (n,)

    Returns
    -------
    dict of str to Metric
        Not available for images of fewer than `FEWEST` patients, of whom a bootstrap has next to no different draws.
    """
    n, count = len(patients), len(set(patients))
    if count < FEWEST:
        few = f"images of {counted(count, 'patient')}; at least {FEWEST} needed"
        return dict.fromkeys(values, Metric.unavailable(few, n))
    table = np.stack([np.asarray(one, float) for one in values.values()], axis=1)

    def mean(weights: np.ndarray) -> np.ndarray:
        return weights @ table / weights.sum(axis=1)[:, None]

    draws = resampled(mean, np.ones(n, bool), patients, seed)
    return {
        name: Metric(value, *percentiles(column), n, 0, n_patients=count)
        for name, value, column in zip(values, table.mean(axis=0).tolist(), draws.T, strict=True)
    }


def resampled(
    statistic: Callable[[np.ndarray], np.ndarray], is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> np.ndarray:
    """Return what a statistic is in each draw of a bootstrap over patients, one below the other.

    Patients are drawn anew, classes kept apart, since images of one person are similar.

    References: C. M. Rutter, "Bootstrap estimation of diagnostic accuracy with patient-clustered data", Academic
    Radiology 7 (2000); B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Parameters
    ----------
    statistic : callable
        From weights of images, (draws, n), to a number or a row of numbers for each draw.
    """
    generator = np.random.default_rng(seed)
    at_a_time = max(1, MOST_NUMBERS // max(len(is_positive), 1))
    sides = []
    for rows in (np.flatnonzero(is_positive), np.flatnonzero(~is_positive)):
        names, inverse = np.unique(patients[rows], return_inverse=True)
        sides.append((rows, inverse, len(names)))
    found = []
    for start in range(0, RESAMPLES, at_a_time):
        draws = min(at_a_time, RESAMPLES - start)
        weights = np.zeros((draws, len(is_positive)))
        for rows, inverse, count in sides:
            if count:
                drawn = generator.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
                counts = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
                weights[:, rows] = counts[:, inverse]
        found.append(statistic(weights))
    return np.concatenate(found)


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """Return the bounds of a percentile interval; draws in which a statistic is not defined do not count.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    # Without interpolation: between a number and infinity there is nothing.
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)
