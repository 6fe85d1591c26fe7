"""Shares and other figures with their confidence intervals; resampling of whole patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
MOST_NUMBERS = 2_000_000  # weights held at a time: all resamples of 20,000 images would be 300 MB


@dataclass(frozen=True)
class Proportion:
    """A share with its interval.

    Attributes
    ----------
    hits, n : int
    value, low, high : float
        In [0, 1]; nan where n is 0.
    """

    hits: int
    n: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} (95% CI {self.low:.4f}-{self.high:.4f}, n={self.n})"


def proportion(hits: int, n: int) -> Proportion:
    """Return `hits` of `n` with Wilson's score interval.

    Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. Am. Stat. Assoc.
    22 (1927); as scipy computes it.

    Parameters
    ----------
    hits, n : int

    Returns
    -------
    Proportion
    """
    from scipy.stats import binomtest

    if n == 0:
        return Proportion(0, 0, float("nan"), float("nan"), float("nan"))
    interval = binomtest(int(hits), int(n)).proportion_ci(LEVEL, method="wilson")
    return Proportion(int(hits), int(n), hits / n, float(interval.low), float(interval.high))


def mean_proportion(right: np.ndarray) -> Proportion:
    """Return the mean over repeats of how many were right, to the nearest image: Wilson's interval counts whole ones.

    Parameters
    ----------
    right : ndarray of shape (repeats, n), bool

    Returns
    -------
    Proportion
    """
    return proportion(round(right.sum(axis=1).mean()), right.shape[1])


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; nan where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} (95% CI {self.low:.4f}-{self.high:.4f})"


def patient_draws(is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Draw patients anew, classes kept apart, since images of one person are alike.

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
    statistics: Mapping[str | tuple[str, ...], Callable[[np.ndarray], np.ndarray]],
    is_positive: np.ndarray,
    patients: np.ndarray,
    seed: int,
) -> dict[str, Estimate]:
    """Return figures with percentile bootstrap intervals over patients, all from the same draws.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Parameters
    ----------
    statistics : mapping of str, or tuple of str, to callable
        From weights of images, (draws, n), to a number each, (draws,), or to one for each name of a tuple, (draws, k).
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    dict of str to Estimate
        Draws in which a figure is not defined do not count; with a single patient in a class there is no interval.
    """
    everything = np.ones((1, len(is_positive)))
    values = {name: float(found[0]) for name, found in _named(statistics, everything)}
    fewest = min(len(set(patients[side])) for side in (is_positive, ~is_positive))
    if fewest < 2:
        return {name: Estimate(value, float("nan"), float("nan")) for name, value in values.items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for weights in patient_draws(is_positive, patients, seed):
        for name, found in _named(statistics, weights):
            drawn[name].append(found)
    return {name: Estimate(values[name], *_percentiles(np.concatenate(parts))) for name, parts in drawn.items()}


def _named(
    statistics: Mapping[str | tuple[str, ...], Callable[[np.ndarray], np.ndarray]], weights: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    for names, statistic in statistics.items():
        found = statistic(weights)
        if isinstance(names, str):
            yield names, found
        else:
            yield from zip(names, found.T, strict=True)


def _percentiles(draws: np.ndarray) -> tuple[float, float]:
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    # Without interpolation: a figure that is infinite in some draws has an infinite bound, not none.
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)
