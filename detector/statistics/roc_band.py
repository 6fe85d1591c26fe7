"""The ROC curve's bootstrap interval, drawn as a band around it."""

from __future__ import annotations

import numpy as np

from detector.statistics.intervals import patient_draws, percentiles

BAND_DRAWS = 500


def roc_band(
    scores: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a pointwise bootstrap interval of the ROC curve, over patients.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    false_positive_rate : ndarray of shape (101,)
    low, high : ndarray of shape (101,)
        Sensitivity at each.
    """
    grid = np.linspace(0.0, 1.0, 101)
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    curves: list[np.ndarray] = []
    for weights in patient_draws(is_positive, patients, seed):
        for drawn in weights[: BAND_DRAWS - len(curves)]:
            called = [
                np.append(0.0, np.cumsum(drawn[order] * side[order])[last_of_tie])
                for side in (~is_positive, is_positive)
            ]
            false_rate, true_rate = (one / one[-1] for one in called)
            # The curve is a staircase: at a rate of false positives it has the sensitivity of the last step before it.
            curves.append(true_rate[np.searchsorted(false_rate, grid + 1e-9, side="right") - 1])
        if len(curves) >= BAND_DRAWS:
            break
    low, high = np.transpose([percentiles(column) for column in np.transpose(curves)])
    return grid, low, high
