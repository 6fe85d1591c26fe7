"""Resampling of patients: draws, percentiles, effective numbers, and Wilson's interval, which every metric rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from detector import counted
from detector.statistics.metric import FEWEST, WIDTH, Metric

LEVEL = 0.95

RESAMPLES = 2000

MOST_NUMBERS = 2_000_000  # weights held at a time: all resamples of 20,000 images would be 300 MB

Statistic = Callable[[np.ndarray], np.ndarray]  # from weights of images, (draws, n), to a number each, (draws,)


def effective_size(hits: np.ndarray, patients: np.ndarray) -> float:
    """Return how many independent observations images of the same patients are worth.

    The design effect is the variance of the proportion over patients, divided by that over as many independent images.
    It is not below 1. Where every image agrees it cannot be estimated, and a patient counts as one observation.

    References: J. N. K. Rao, A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48
    (1992); E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24 (1998).
    """
    n, value = len(hits), float(hits.mean())
    inverse = np.unique(patients, return_inverse=True)[1]
    count = int(inverse.max()) + 1
    images = np.bincount(inverse, minlength=count)
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
    draws = [
        weights @ table / weights.sum(axis=1)[:, None] for weights in patient_draws(np.ones(n, bool), patients, seed)
    ]
    return {
        name: Metric(value, *percentiles(column), n, 0, n_patients=count)
        for name, value, column in zip(values, table.mean(axis=0).tolist(), np.concatenate(draws).T, strict=True)
    }


def patient_draws(is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Draw patients anew, classes kept apart, since images of one person are similar.

    Reference: C. M. Rutter, "Bootstrap estimation of diagnostic accuracy with patient-clustered data", Academic
    Radiology 7 (2000).
    """
    generator = np.random.default_rng(seed)
    at_a_time = max(1, MOST_NUMBERS // max(len(is_positive), 1))
    sides = []
    for side in (is_positive, ~is_positive):
        rows = np.flatnonzero(side)
        _, inverse = np.unique(patients[rows], return_inverse=True)
        sides.append((rows, inverse, int(inverse.max()) + 1 if len(rows) else 0))
    for start in range(0, RESAMPLES, at_a_time):
        draws = min(at_a_time, RESAMPLES - start)
        weights = np.zeros((draws, len(is_positive)))
        for rows, inverse, count in sides:
            if count:
                drawn = generator.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
                counts = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
                weights[:, rows] = counts[:, inverse]
        yield weights


def resampled(
    statistics: Mapping[str, Statistic], is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> dict[str, tuple[float, np.ndarray]]:
    """Return statistics, and what they are in each draw of a bootstrap over patients, all from the same draws.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    everything = np.ones((1, len(is_positive)))
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for weights in patient_draws(is_positive, patients, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    return {name: (float(statistics[name](everything)[0]), np.concatenate(parts)) for name, parts in drawn.items()}


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
