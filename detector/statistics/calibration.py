"""Calibration of probabilities: in the large, slope, reliability curve, and the prior behind them."""

from __future__ import annotations

import numpy as np

from detector.statistics.intervals import LEVEL, wilson
from detector.statistics.metric import FEWEST

STEPS = 30  # of Newton's method; it has converged after ten unless the classes are separated
CLIP = 1e-6  # a probability of 0 or 1 would be infinitely wrong
TIED = 1e-9  # logits that differ by less are the same


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Return log odds of probabilities, which are kept from 0 and 1 by `CLIP`."""
    clipped = np.clip(np.asarray(probabilities, float), CLIP, 1.0 - CLIP)
    return np.log(clipped / (1.0 - clipped))


def at_prevalence_of(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probabilities of a classifier whose classes were weighted equally, at the classes' own frequencies.

    Weights that let the classes count equally teach that all of them are equally frequent. Each class's odds are
    multiplied by how frequent it is instead.

    Reference: M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the outputs of a classifier to new a priori
    probabilities: a simple procedure", Neural Computation 14 (2002), equation 2.4.

    Parameters
    ----------
    probabilities : ndarray of shape (…, n, classes)
    labels : ndarray of shape (n,), int
        The classes of the images, whose frequencies are taken.

    Returns
    -------
    ndarray of the same shape
    """
    corrected = probabilities.astype(float) * np.bincount(labels, minlength=probabilities.shape[-1])
    total = corrected.sum(axis=-1, keepdims=True)
    return np.divide(corrected, total, out=probabilities.astype(float), where=total > 0)


def calibration_in_the_large(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the intercept of a logistic regression of the outcome on the logit of its probability, slope fixed at 1.

    0 where as many images are positive as the probabilities predict; above 0 where more are.

    Reference: B. Van Calster et al., "A calibration hierarchy for risk models was defined: from utopia to empirical
    data", Journal of Clinical Epidemiology 74 (2016).

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)

    Returns
    -------
    ndarray of shape (draws,)
        Infinite where all images are of one class.
    """
    from scipy.special import expit

    x, positive = logits(probabilities), weights @ is_positive.astype(float)
    total = weights.sum(axis=1)
    # The solution of every draw is near that of all images.
    whole = calibration_in_the_large(probabilities, is_positive, np.ones((1, len(x))))[0] if len(weights) > 1 else 0.0
    found = np.full(len(weights), whole if np.isfinite(whole) else 0.0)
    for _ in range(2 * STEPS):
        expected = expit(found[:, None] + x)
        wrong = positive - np.einsum("dn,dn->d", weights, expected)
        curvature = np.einsum("dn,dn->d", weights, expected * (1.0 - expected))
        found = found + np.clip(wrong / np.maximum(curvature, 1e-12), -1, 1)
        if np.abs(wrong[(positive > 0) & (positive < total)]).max(initial=0.0) < 1e-8 * max(1.0, total.max()):
            break
    return np.where(positive <= 0, -np.inf, np.where(positive >= total, np.inf, found))


def calibration_slope(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the slope of a logistic regression of the outcome on the logit of its probability.

    Below 1 where probabilities are overconfident, above where they are underconfident, below 0 where they are reversed.

    Reference: D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958); B. Van
    Calster et al., "Calibration: the Achilles heel of predictive analytics", BMC Medicine 17 (2019).

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)

    Returns
    -------
    ndarray of shape (draws,)
        Infinite where the probabilities separate the classes, ties at the boundary included; nan where they are equal.
    """
    x = logits(probabilities)
    start: np.ndarray = np.zeros(2)
    if len(weights) > 1:
        # The solution of every draw is near that of all images.
        start = _recalibration(x, is_positive, np.ones((1, len(x))), start)[:, 0]
    slope = _recalibration(x, is_positive, weights, start if np.isfinite(start).all() else np.zeros(2))[1]
    drawn = weights > 0
    low_p, low_n = (np.where(drawn & side, x, np.inf).min(axis=1) for side in (is_positive, ~is_positive))
    high_p, high_n = (np.where(drawn & side, x, -np.inf).max(axis=1) for side in (is_positive, ~is_positive))
    found = np.where(low_p >= high_n - TIED, np.inf, np.where(low_n >= high_p - TIED, -np.inf, slope))
    return np.where(np.maximum(high_p, high_n) - np.minimum(low_p, low_n) <= TIED, np.nan, found)


def _recalibration(x: np.ndarray, is_positive: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return intercept and slope of a logistic regression on logits, shape (2, draws), by Newton's method."""
    intercept, slope = np.full(len(weights), start[0]), np.full(len(weights), start[1])
    for _ in range(STEPS):
        expected = 1.0 / (1.0 + np.exp(-np.clip(intercept[:, None] + slope[:, None] * x, -30, 30)))
        wrong, curvature = weights * (is_positive - expected), weights * expected * (1.0 - expected)
        a, b, c = curvature.sum(axis=1), curvature @ x, curvature @ x**2
        g, h = wrong.sum(axis=1), wrong @ x
        determinant = np.maximum(a * c - b * b, 1e-12)
        # A step too far is cut: Newton's method may overshoot where the classes are nearly separated.
        intercept = intercept + np.clip((c * g - b * h) / determinant, -5, 5)
        slope = slope + np.clip((a * h - b * g) / determinant, -5, 5)
        if np.abs(np.stack([g, h])).max() < 1e-8 * max(1.0, weights.sum(axis=1).max()):
            break
    return np.stack([intercept, slope])


def reliability_curve(
    probabilities: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return how often images are positive at each probability: the isotonic regression, with a pointwise interval.

    The interval is the bootstrap's, and at least Wilson's of as many patients as share a step of the curve, or of
    `FEWEST`: on a step at 0 or 1 all draws are alike. By simulation with 60 and 200 patients, at probabilities of 0.1
    to 0.9, it covers 0.87 to 1.00 (0.96 and 0.99 on average); the bootstrap's alone covers 0.40 to 0.92.

    Reference: T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
    PNAS 118 (2021). No bins have to be chosen.

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    draws : ndarray of shape (draws, n)
        Weights of images, as `intervals.patient_draws` draws them: whole patients.

    Returns
    -------
    grid, curve, low, high : ndarray of shape (101,)
        Between the smallest and the largest probability.
    """
    from sklearn.isotonic import IsotonicRegression

    grid = np.linspace(probabilities.min(), probabilities.max(), 101)

    def fitted(weights: np.ndarray) -> IsotonicRegression:
        drawn = weights > 0
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        return model.fit(probabilities[drawn], is_positive[drawn].astype(float), weights[drawn])

    curves = [fitted(weights).predict(grid) for weights in draws]
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    curve = fitted(np.ones(len(probabilities)))
    floor = _wilson_of_steps(curve.predict(probabilities), probabilities, patients, grid)
    low, high = np.minimum(low, floor[0]), np.maximum(high, floor[1])
    # The curve does not fall, so the bounds do not either.
    low, high = np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high)
    return grid, curve.predict(grid), low, high


def _wilson_of_steps(
    steps: np.ndarray, probabilities: np.ndarray, patients: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of each step of the isotonic regression, at the probabilities of a grid.

    `steps` holds the value of the regression at each image.
    """
    from scipy.stats import norm

    order, quantile = np.argsort(probabilities, kind="stable"), float(norm.ppf((1 + LEVEL) / 2))
    bounds = np.empty((2, len(steps)))
    for value in np.unique(steps):
        rows = steps == value
        people = max(len(set(patients[rows])), FEWEST)
        bounds[:, rows] = np.reshape(wilson(float(value), people, quantile), (2, 1))
    low, high = (np.interp(grid, probabilities[order], side[order]) for side in bounds)
    return low, high
