"""Areas under the ROC curve, over all images or within strata only, with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.statistics.intervals import LEVEL, RESAMPLES, resampled


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


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the probability that a positive scores above a negative, ties counting half: the area under the ROC curve.

    Reference: J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic
    (ROC) curve", Radiology 143 (1982).

    Parameters
    ----------
    positive : ndarray of shape (p,)
    negative : ndarray of shape (q,)
        Scores.

    Returns
    -------
    float
        nan where there are none.
    """
    scores = np.concatenate([positive, negative])
    is_positive = np.arange(len(scores)) < len(positive)
    return float(weighted_auc(scores, is_positive, np.ones((1, len(scores))))[0])


def weighted_auc(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray, strata: np.ndarray | None = None
) -> np.ndarray:
    """Return the area under the ROC curve of weighted images, comparing those of one stratum with each other only.

    Strata count by n₊n₋ / (n₊ + n₋ + 1).

    References: Ph. van Elteren, "On the combination of independent two-sample tests of Wilcoxon", Bulletin of the
    International Statistical Institute 37 (1960); K. H. Zou et al., Biometrical Journal 53 (2011).

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)
    strata : ndarray of shape (n,), optional
        By default all images are in one.

    Returns
    -------
    ndarray of shape (draws,)
        nan where no stratum has both classes.
    """
    if not len(scores):
        return np.full(len(weights), np.nan)
    codes = np.zeros(len(scores), int) if strata is None else np.unique(strata, return_inverse=True)[1]
    order = np.lexsort((scores, codes))
    codes, scores, is_positive = codes[order], scores[order], is_positive[order]
    new_stratum = np.append(True, codes[1:] != codes[:-1])
    # Images of a stratum that tie are one step of the curve.
    steps = np.flatnonzero(new_stratum | np.append(True, scores[1:] != scores[:-1]))
    starts = np.flatnonzero(new_stratum[steps])
    weights = weights[:, order]
    positive = np.add.reduceat(weights * is_positive, steps, axis=1)
    negative = np.add.reduceat(weights * ~is_positive, steps, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    # Only negatives of the same stratum count.
    below -= np.repeat(below[:, starts], np.diff(np.append(starts, len(steps))), axis=1)
    pairs_won = np.add.reduceat(positive * (below + negative / 2), starts, axis=1)
    n_positive, n_negative = (np.add.reduceat(side, starts, axis=1) for side in (positive, negative))
    size = n_positive + n_negative + 1
    compared = (n_positive * n_negative / size).sum(axis=1)
    won = np.where(n_positive * n_negative > 0, pairs_won / size, 0.0).sum(axis=1)
    return np.divide(won, compared, out=np.full(len(weights), np.nan), where=compared > 0)


def newcombe_interval(value: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return a score interval of an area under the ROC curve, which is none of a point where no pair is ranked wrongly.

    Reference: R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic,
    part 2", Statistics in Medicine 25 (2006), method 5: the variance of Hanley and McNeil's exponential model at the
    bound itself, with the mean of both sample sizes in place of each.

    Parameters
    ----------
    value : float
    positives, negatives : int
        Independent ones: patients.

    Returns
    -------
    low, high : float
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    z, mean_size = float(norm.ppf((1 + LEVEL) / 2)), (positives + negatives) / 2

    def too_far(bound: float) -> float:
        spread = 1 + (mean_size - 1) * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        return (value - bound) ** 2 - z**2 * bound * (1 - bound) * spread / (positives * negatives)

    # At the value itself nothing is too far; where that is 0 or 1 it would be taken for the bound.
    low = 0.0 if value <= 0 else brentq(too_far, 0.0, value - 1e-9)
    high = 1.0 if value >= 1 else brentq(too_far, value + 1e-9, 1.0)
    return float(low), float(high)


def patient_area(
    scores: np.ndarray,
    is_positive: np.ndarray,
    patients: Sequence[str],
    seed: int,
    strata: np.ndarray | None = None,
) -> Area | None:
    """Return the mean area under the ROC curve over repeats, with a bootstrap interval over patients.

    Where that interval would be a point, as it is where no pair is ranked wrongly, it is Newcombe's.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    patients : sequence of str
    seed : int
    strata : ndarray of shape (n,), optional
        Compare within these only; an image whose stratum is empty text is compared with none.

    Returns
    -------
    Area or None
        None where strata are given and none holds both classes.
    """
    patients = np.asarray(patients)
    if strata is not None:
        from detector.statistics.strata import holding_two_classes

        kept = holding_two_classes(is_positive, strata)
        if not kept.any():
            return None
        scores, is_positive, patients, strata = scores[:, kept], is_positive[kept], patients[kept], strata[kept]

    def mean_auc(weights: np.ndarray) -> np.ndarray:
        return np.mean([weighted_auc(one, is_positive, weights, strata) for one in scores], axis=0)

    found = resampled({"auc": mean_auc}, is_positive, patients, seed)["auc"]
    sides = [int(is_positive.sum()), int((~is_positive).sum())]
    low, high = found.low, found.high
    if low == high and min(sides):
        people = [len(set(patients[side])) for side in (is_positive, ~is_positive)]
        low, high = newcombe_interval(found.value, *people)
    return Area(found.value, low, high, *sides)


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
