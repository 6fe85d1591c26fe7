"""The ROC curve whose area is the printed one, and its bootstrap interval, drawn as a band around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from detector.statistics.intervals import LEVEL, patient_draws, percentiles, wilson
from detector.statistics.metric import WIDTH
from detector.statistics.roc import roc_auc
from detector.statistics.roc_interval import fold_inflation
from detector.statistics.strata import stratum_weight

BAND_DRAWS = 500
RATES = 101  # of false positives, at which the band is computed


def roc_curve(scores: np.ndarray, is_positive: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean ROC curve over folds and repeats, whose area is that of `roc.roc_auc` within folds.

    At each rate of false positives the sensitivities of the folds' own curves are averaged, each with the weight that
    its area has in the mean area; repeats count equally. Images of different folds are not ranked together, since
    their scores come from different models. A fold without images of both classes has no curve.

    Reference: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006), section 8.1
    (vertical averaging).

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    folds : ndarray of shape (repeats, n), int
        Which fold held each image out; all equal of a single model.

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray of shape (points,)
        Corners of the curve from (0, 0) to (1, 1), to be joined by straight lines; empty where no fold has both
        classes.
    """
    parts: list[tuple[float, np.ndarray, np.ndarray]] = []
    for one, own in zip(scores, folds, strict=True):
        found = []
        for rows in _with_both_classes(is_positive, own):
            false, true = _corners(one[rows], is_positive[rows], np.ones((1, len(rows))))
            share = float(stratum_weight(is_positive[rows].sum(), (~is_positive[rows]).sum()))
            found.append((share, false[0], true[0]))
        whole = sum(share for share, _, _ in found)
        parts += [(share / whole, false, true) for share, false, true in found]
    if not parts:
        return np.empty(0), np.empty(0)
    total = sum(share for share, _, _ in parts)
    rates = np.unique(np.concatenate([false for _, false, _ in parts]))
    # Where a curve rises, it has two sensitivities at one rate: below and above the step.
    below, above = np.zeros(len(rates)), np.zeros(len(rates))
    for share, false, true in parts:
        below += share / total * _sensitivity(false, true, rates, "left")
        above += share / total * _sensitivity(false, true, rates, "right")
    return np.repeat(rates, 2), np.stack([below, above], axis=1).ravel()


def roc_band(
    scores: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, folds: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return a pointwise interval of the curve of `roc_curve`: a bootstrap over patients, and Wilson's at least.

    Of out-of-fold scores the bootstrap leaves out that the models hang on the sample, too: the interval is widened as
    that of the area is (`roc_interval.fold_inflation`). By simulation with 20 to 60 patients a class and areas of 0.7
    to 0.95 it covers 0.89 to 1.00 of the points, 0.97 to 0.99 on average.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    folds : ndarray of shape (repeats, n), int
    seed : int

    Returns
    -------
    false_positive_rate : ndarray of shape (101,)
    low, high : ndarray of shape (101,)
        Sensitivity at each. None instead of the three where the area is not estimable, or where it is 0 or 1: every
        draw then has the same curve, and a band without width would claim a certainty that no sample gives.
    """
    from scipy.stats import norm

    area = roc_auc(scores, is_positive, patients, folds=folds)
    if not area.available or not WIDTH < area.point < 1 - WIDTH:
        return None
    rates = np.linspace(0.0, 1.0, RATES)
    # The first row is the sample itself.
    draws = np.concatenate([np.ones((1, len(is_positive))), *_first(BAND_DRAWS, is_positive, patients, seed)])
    curves, repeats = np.zeros((len(draws), RATES)), np.zeros((len(draws), 1))
    for one, own in zip(scores, folds, strict=True):
        sums, shares = np.zeros((len(draws), RATES)), np.zeros((len(draws), 1))
        for rows in _with_both_classes(is_positive, own):
            weights, truth = draws[:, rows], is_positive[rows]
            share = stratum_weight(weights @ truth, weights @ ~truth)[:, None]
            corners = zip(*_corners(one[rows], truth, weights), strict=True)
            sums += share * [_sensitivity(false, true, rates, "right") for false, true in corners]
            shares += share
        curves += np.divide(sums, shares, out=np.zeros(sums.shape), where=shares > 0)
        repeats += shares > 0
    curve, *drawn = curves[repeats[:, 0] > 0] / repeats[repeats[:, 0] > 0]
    low, high = np.transpose([percentiles(column) for column in np.transpose(drawn)])
    wider = np.sqrt(fold_inflation(area, folds))
    # Where nearly all draws have a sensitivity of 0 or 1, they do not show how many patients that rests on.
    quantile, people = norm.ppf((1 + LEVEL) / 2), len(set(patients[is_positive]))
    floor = np.array([wilson(sensitivity, people, quantile) for sensitivity in np.clip(curve, 0.0, 1.0)])
    low, high = np.minimum(low, floor[:, 0]), np.maximum(high, floor[:, 1])
    low, high = np.clip(curve - wider * (curve - low), 0.0, 1.0), np.clip(curve + wider * (high - curve), 0.0, 1.0)
    # No ROC curve falls, so the bounds do not either.
    return rates, np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high)


def _with_both_classes(is_positive: np.ndarray, folds: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the images of each fold that has images of both classes."""
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        if 0 < is_positive[rows].sum() < len(rows):
            yield rows


def _first(count: int, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yield the first draws of patients."""
    for weights in patient_draws(is_positive, patients, seed):
        yield weights[:count]
        count -= len(weights[:count])
        if count <= 0:
            return


def _corners(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a ROC curve of weighted images: rates of false and true positives, (draws, corners).

    Rates of a class that was not drawn are 0; such curves have no share.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, True)
    rates = []
    for side in (~is_positive, is_positive):
        sums = np.cumsum(weights[:, order] * side[order], axis=1)[:, ends]
        rates.append(np.pad(sums / np.maximum(sums[:, -1:], WIDTH), ((0, 0), (1, 0))))
    return rates[0], rates[1]


def _sensitivity(false: np.ndarray, true: np.ndarray, rates: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
    """Return the sensitivity of a curve below ("left") or above ("right") its step at rates of false positives."""
    if side == "right":
        start = np.minimum(np.searchsorted(false, rates + WIDTH, side="right") - 1, len(false) - 1)
        stop = np.minimum(start + 1, len(false) - 1)
    else:
        stop = np.minimum(np.searchsorted(false, rates - WIDTH, side="left"), len(false) - 1)
        start = np.maximum(stop - 1, 0)
    run = false[stop] - false[start]
    along = np.divide(rates - false[start], run, out=np.zeros(len(rates)), where=run > WIDTH)
    if side == "left":
        along = np.where(run > WIDTH, along, 1.0)
    return true[start] + np.clip(along, 0.0, 1.0) * (true[stop] - true[start])
