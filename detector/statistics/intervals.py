"""Proportions with their intervals, and resampling: the unit of every interval is the patient, not the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from detector import counted
from detector.statistics.effective_number import effective_size, kish_number
from detector.statistics.metric import FEWEST, WIDTH, Metric

LEVEL = 0.95
RESAMPLES = 2000
MOST_NUMBERS = 2_000_000  # weights held at a time: all resamples of 20,000 images would be 300 MB

Statistic = Callable[[np.ndarray], np.ndarray]  # from weights of images, (draws, n), to a number each, (draws,)


def wilson(value: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion from `n` independent observations.

    Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927).

    Parameters
    ----------
    value : float
        In [0, 1].
    n : float
        Need not be whole: it may be an effective sample size.
    z : float
        Quantile, such as 1.96.

    Returns
    -------
    low, high : float
        In [0, 1].
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

    With several images a patient the interval is that of `effective_size` images, with Student's quantile for that
    many patients instead of the normal one. If some have more images than others, `kish_number` counts.

    Parameters
    ----------
    hits : ndarray of shape (n,) or (repeats, n)
        Whether each image is a hit; of repeats, the mean is taken.
    patients : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool, optional
        Only counted; by default all images are of the positive class.
    inflation : float, default=1
        By how much the variance exceeds that of one model's predictions: of out-of-fold ones,
        `roc_interval.refit_inflation`.

    Returns
    -------
    Metric
    """
    from scipy.stats import norm, t

    hits, patients = np.atleast_2d(hits).mean(axis=0), np.asarray(patients)
    if not len(hits):
        return Metric.unavailable("no images")
    n_positive = len(hits) if is_positive is None else int(np.sum(is_positive))
    size, count = effective_size(hits, patients)
    z = float(norm.ppf((1 + LEVEL) / 2))
    if 1 < count < len(hits) and size != count:
        images = np.unique(patients, return_counts=True)[1]
        z = float(t.ppf((1 + LEVEL) / 2, max(kish_number(images) - 1, 1.0)))
    value = float(hits.mean())
    return Metric(value, *wilson(value, size / inflation, z), n_positive, len(hits) - n_positive, n_patients=count)


def means(values: Mapping[str, np.ndarray], patients: np.ndarray, seed: int) -> dict[str, Metric]:
    """Return means of numbers over images, with percentile intervals of one bootstrap over patients.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (n,)
        Of paired numbers, their differences.
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    dict of str to Metric
        Not available for images of fewer than `FEWEST` patients, of whom a bootstrap has next to no different draws, or
        for equal values: no sample shows that others are equal, too.
    """
    n, count = len(patients), len(set(patients))
    if count < FEWEST:
        few = f"images of {counted(count, 'patient')}; at least {FEWEST} needed"
        return dict.fromkeys(values, Metric.unavailable(few, n))
    table = np.stack([np.asarray(one, float) for one in values.values()], axis=1)
    draws = [
        weights @ table / weights.sum(axis=1)[:, None] for weights in patient_draws(np.ones(n, bool), patients, seed)
    ]
    found = {}
    for name, value, column in zip(values, table.mean(axis=0).tolist(), np.concatenate(draws).T, strict=True):
        low, high = percentiles(column)
        if high - low <= WIDTH:
            found[name] = Metric.unavailable(f"it is {value:.2f} in every image", n)
        else:
            found[name] = Metric(value, low, high, n, 0, n_patients=count)
    return found


def patient_draws(is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Draw patients anew, classes kept apart, since images of one person are similar.

    Reference: C. M. Rutter, "Bootstrap estimation of diagnostic accuracy with patient-clustered data", Academic
    Radiology 7 (2000).

    Parameters
    ----------
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int

    Yields
    ------
    ndarray of shape (draws, n), float
        How often each image was drawn; `RESAMPLES` draws in all, some at a time.
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
    statistics: Mapping[str | tuple[str, ...], Statistic], is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> dict[str, tuple[float, np.ndarray]]:
    """Return statistics, and what they are in each draw of a bootstrap over patients, all from the same draws.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Parameters
    ----------
    statistics : mapping of str, or tuple of str, to callable
        From weights of images, (draws, n), to a number each, (draws,), or to one for each name of a tuple, (draws, k).
    is_positive : ndarray of shape (n,), bool
        The classes are drawn apart; all together if it is true everywhere.
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    dict of str to (float, ndarray of shape (draws,))
        The draws are empty where a class has a single patient.
    """
    everything = np.ones((1, len(is_positive)))
    values = {name: float(found[0]) for name, found in _named(statistics, everything)}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in values}
    if min(len(set(patients[side])) for side in (is_positive, ~is_positive) if side.any()) > 1:
        for weights in patient_draws(is_positive, patients, seed):
            for name, found in _named(statistics, weights):
                drawn[name].append(found)
    return {name: (values[name], np.concatenate(parts) if parts else np.empty(0)) for name, parts in drawn.items()}


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """Return the bounds of a percentile interval; draws in which a statistic is not defined do not count.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Returns
    -------
    low, high : float
        May be infinite, where the statistic is in some draws; nan without draws.
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    # Without interpolation: between a number and infinity there is nothing.
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)


def _named(
    statistics: Mapping[str | tuple[str, ...], Statistic], weights: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    for names, statistic in statistics.items():
        found = statistic(weights)
        if isinstance(names, str):
            yield names, found
        else:
            yield from zip(names, found.T, strict=True)
