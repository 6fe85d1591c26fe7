"""Whether probabilities mean what they say: Brier score, calibration, average precision, predictive values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.statistics.intervals import LEVEL, Estimate

STEPS = 30  # of Newton's method; it has converged after ten unless the classes are separated
CLIP = 1e-6  # a probability of 0 or 1 would be infinitely wrong


@dataclass(frozen=True)
class Calibration:
    """Intercept and slope of the logistic recalibration: 0 and 1 where probabilities mean what they say."""

    intercept: Estimate
    slope: Estimate

    def __str__(self) -> str:
        return f"intercept {self.intercept}, slope {self.slope}"


def brier(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared difference between probability and outcome.

    Reference: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950).

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
        Of the positive class, in [0, 1].
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)

    Returns
    -------
    ndarray of shape (draws,)
        In [0, 1]; 0 is perfect.
    """
    return weights @ (probabilities - is_positive) ** 2 / weights.sum(axis=1)


def average_precision(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the precision-recall curve, as scikit-learn defines it: Σ (Rᵢ − Rᵢ₋₁) Pᵢ.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)

    Returns
    -------
    ndarray of shape (draws,)
    """
    order = np.argsort(-scores, kind="stable")
    steps = np.flatnonzero(np.append(True, np.diff(scores[order]) != 0))
    found = np.add.reduceat(weights[:, order] * is_positive[order], steps, axis=1)
    called = np.add.reduceat(weights[:, order], steps, axis=1)
    called_so_far = np.cumsum(called, axis=1)
    precision = np.cumsum(found, axis=1) / np.maximum(called_so_far, 1e-12)
    return (found * precision).sum(axis=1) / found.sum(axis=1)


def recalibration(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return intercept and slope of a logistic regression of the outcome on the logit of its probability.

    Reference: D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958).

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)

    Returns
    -------
    ndarray of shape (draws, 2)
        A slope of inf, and no intercept, where the probabilities separate the classes.
    """
    clipped = np.clip(probabilities.astype(float), CLIP, 1.0 - CLIP)
    x = np.log(clipped / (1.0 - clipped))
    intercept, slope = np.zeros(len(weights)), np.zeros(len(weights))
    if len(weights) > 1:
        # Every draw's answer is near that of all images.
        start = recalibration(probabilities, is_positive, np.ones((1, len(x))))[0]
        if np.isfinite(start).all():
            intercept, slope = intercept + start[0], slope + start[1]
    for _ in range(STEPS):
        expected = 1.0 / (1.0 + np.exp(-np.clip(intercept[:, None] + slope[:, None] * x, -30, 30)))
        wrong, curvature = weights * (is_positive - expected), weights * expected * (1.0 - expected)
        a, b, c = curvature.sum(axis=1), curvature @ x, curvature @ x**2
        g, h = wrong.sum(axis=1), wrong @ x
        determinant = np.maximum(a * c - b * b, 1e-12)
        # A step too far is cut: Newton's method may overshoot where nearly all are told apart.
        intercept = intercept + np.clip((c * g - b * h) / determinant, -5, 5)
        slope = slope + np.clip((a * h - b * g) / determinant, -5, 5)
        if np.abs(np.stack([g, h])).max() < 1e-8 * max(1.0, weights.sum(axis=1).max()):
            break
    drawn = weights > 0
    lowest = [np.where(drawn & side, x, np.inf).min(axis=1) for side in (is_positive, ~is_positive)]
    highest = [np.where(drawn & side, x, -np.inf).max(axis=1) for side in (is_positive, ~is_positive)]
    apart = (lowest[0] > highest[1]) | (lowest[1] > highest[0])
    return np.stack([np.where(apart, np.nan, intercept), np.where(apart, np.copysign(np.inf, slope), slope)], axis=1)


def predictive_values(
    sensitivity: float, specificity: float, positives: int, negatives: int, prevalence: float
) -> tuple[Estimate, Estimate]:
    """Return the positive and the negative predictive value at a prevalence.

    Reference: N. D. Mercaldo, K. F. Lau, X. H. Zhou, "Confidence intervals for predictive values with an emphasis to
    case-control studies", Statistics in Medicine 26 (2007): the adjusted logit interval, none of a point where no image
    was called wrongly.

    Parameters
    ----------
    sensitivity, specificity : float
    positives, negatives : int
        Independent ones: patients.
    prevalence : float
        Share of the ill among those who are tested, in (0, 1).

    Returns
    -------
    ppv, npv : Estimate
    """
    from scipy.special import expit
    from scipy.stats import norm

    z = float(norm.ppf((1 + LEVEL) / 2))

    def value(true: float, false: float) -> float:
        return true / (true + false) if true + false else float("nan")

    def adjusted(share: float, n: int) -> tuple[float, float]:
        return (share * n + z**2 / 2) / (n + z**2), n + z**2

    (se, n1), (sp, n0) = adjusted(sensitivity, positives), adjusted(specificity, negatives)
    ill, well = prevalence, 1.0 - prevalence
    estimates = []
    for point, odds, spread in (
        (
            value(sensitivity * ill, (1 - specificity) * well),
            se * ill / ((1 - sp) * well),
            (1 - se) / (se * n1) + sp / ((1 - sp) * n0),
        ),
        (
            value(specificity * well, (1 - sensitivity) * ill),
            sp * well / ((1 - se) * ill),
            se / ((1 - se) * n1) + (1 - sp) / (sp * n0),
        ),
    ):
        half = z * np.sqrt(spread)
        low, high = expit(np.log(odds) - half), expit(np.log(odds) + half)
        # The interval is centred on the adjusted value; the plain one is never left outside.
        estimates.append(Estimate(point, float(np.fmin(low, point)), float(np.fmax(high, point))))
    return estimates[0], estimates[1]


def reliability_curve(
    probabilities: np.ndarray, is_positive: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return how often images are positive at each probability: the isotonic regression, with a bootstrap interval.

    Reference: T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
    PNAS 118 (2021). No bins have to be chosen.

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    draws : ndarray of shape (draws, n)
        Weights of images.

    Returns
    -------
    grid, curve, low, high : ndarray of shape (101,)
        Between the smallest and the largest probability.
    """
    from sklearn.isotonic import IsotonicRegression

    grid = np.linspace(probabilities.min(), probabilities.max(), 101)

    def fitted(weights: np.ndarray) -> np.ndarray:
        drawn = weights > 0
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        return model.fit(probabilities[drawn], is_positive[drawn].astype(float), weights[drawn]).predict(grid)

    low, high = np.quantile([fitted(weights) for weights in draws], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return grid, fitted(np.ones(len(probabilities))), low, high
