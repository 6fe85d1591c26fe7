"""Shares and areas under the ROC curve, with their confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000


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


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve with its interval; `positives` and `negatives` are numbers of images."""

    value: float
    low: float
    high: float
    positives: int
    negatives: int

    def __str__(self) -> str:
        return (
            f"{self.value:.4f} (95% CI {self.low:.4f}-{self.high:.4f}, "
            f"n={self.positives} positive, {self.negatives} negative)"
        )


def auc(positive: np.ndarray, negative: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the probability that a positive scores above a negative, ties counting half: the area under the ROC curve.

    Reference: J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic
    (ROC) curve", Radiology 143 (1982).

    Parameters
    ----------
    positive : ndarray of shape (..., p)
    negative : ndarray of shape (..., q)
        Scores; `axis` is that of the images.

    Returns
    -------
    ndarray of shape (...,)
    """
    from scipy.stats import rankdata

    p, q = positive.shape[axis], negative.shape[axis]
    ranks = rankdata(np.concatenate([positive, negative], axis=axis), axis=axis)
    total = np.take(ranks, np.arange(p), axis=axis).sum(axis=axis)
    return (total - p * (p + 1) / 2) / (p * q)


def area(scores: np.ndarray, is_positive: np.ndarray, seed: int) -> Area:
    """Return the area under the ROC curve with a percentile bootstrap interval over images, classes kept apart.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13; as scipy computes it.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    seed : int

    Returns
    -------
    Area
    """
    from scipy.stats import bootstrap

    positive, negative = scores[is_positive], scores[~is_positive]
    if min(len(positive), len(negative)) < 2:
        value = float(auc(positive, negative)) if len(positive) and len(negative) else float("nan")
        return Area(value, float("nan"), float("nan"), len(positive), len(negative))
    with np.errstate(all="ignore"):
        interval = bootstrap(
            (positive, negative),
            auc,
            n_resamples=RESAMPLES,
            batch=max(1, 10**6 // len(scores)),
            vectorized=True,
            paired=False,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return Area(float(auc(positive, negative)), float(interval.low), float(interval.high), len(positive), len(negative))


def resampled_interval(
    statistic: Callable[[np.ndarray], float], is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic of images, drawing whole patients, classes kept apart.

    Parameters
    ----------
    statistic : callable
        From indices of images, some of them several times, to a number.
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    low, high : float
        nan where a class has a single patient.
    """
    generator = np.random.default_rng(seed)
    groups = []
    for side in (is_positive, ~is_positive):
        rows = np.flatnonzero(side)
        _, inverse = np.unique(patients[rows], return_inverse=True)
        groups.append([rows[inverse == group] for group in range(inverse.max() + 1)])
    if min(len(group) for group in groups) < 2:
        return float("nan"), float("nan")

    def draw() -> np.ndarray:
        return np.concatenate([group[i] for group in groups for i in generator.integers(0, len(group), len(group))])

    low, high = np.quantile([statistic(draw()) for _ in range(RESAMPLES)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def patient_area(scores: np.ndarray, is_positive: np.ndarray, patients: Sequence[str], seed: int) -> Area:
    """Return the mean area under the ROC curve over repeats, with a bootstrap interval over patients.

    Reference: C. M. Rutter, "Bootstrap estimation of diagnostic accuracy with patient-clustered data", Academic
    Radiology 7 (2000).

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    patients : sequence of str
    seed : int

    Returns
    -------
    Area
    """

    def mean_auc(rows: np.ndarray) -> float:
        ill, well = rows[is_positive[rows]], rows[~is_positive[rows]]
        return float(auc(scores[:, ill], scores[:, well]).mean())

    value = mean_auc(np.arange(len(is_positive)))
    low, high = resampled_interval(mean_auc, is_positive, np.asarray(patients), seed)
    return Area(value, low, high, int(is_positive.sum()), int((~is_positive).sum()))


def roc_band(scores: np.ndarray, is_positive: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a pointwise bootstrap interval of the ROC curve.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    seed : int

    Returns
    -------
    false_positive_rate : ndarray of shape (101,)
    low, high : ndarray of shape (101,)
        Sensitivity at each.
    """
    generator = np.random.default_rng(seed)
    grid = np.linspace(0.0, 1.0, 101)
    positive, negative = scores[is_positive], scores[~is_positive]
    curves = np.empty((RESAMPLES // 4, len(grid)))
    for curve in curves:
        ill = np.sort(generator.choice(positive, len(positive)))
        well = np.sort(generator.choice(negative, len(negative)))
        # Let the highest-scoring share of the negatives through; the rest, and the positives not above them, stay out.
        kept_out = np.ceil((len(well) * (1.0 - grid)).round(9)).astype(int)
        threshold = np.append(-np.inf, well)[kept_out]
        curve[:] = 1.0 - np.searchsorted(ill, threshold, side="right") / len(ill)
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return grid, low, high
