"""Whether probabilities mean what they say: Brier score, calibration, average precision, predictive values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detector.statistics.intervals import LEVEL, percentiles, resampled, wilson
from detector.statistics.metric import FEWEST, WIDTH, Metric, too_few

STEPS = 30  # of Newton's method; it has converged after ten unless the classes are separated
CLIP = 1e-6  # a probability of 0 or 1 would be infinitely wrong
TIED = 1e-9  # logits that differ by less are the same

PRECISION, BRIER = "average_precision", "brier_score"
IN_THE_LARGE, SLOPE = "calibration_in_the_large", "calibration_slope"


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

    0 where as many images are positive as the probabilities say; above 0 where more are.

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
    # Every draw's answer is near that of all images.
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
    start = np.zeros(2)
    if len(weights) > 1:
        # Every draw's answer is near that of all images.
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
        # A step too far is cut: Newton's method may overshoot where nearly all are told apart.
        intercept = intercept + np.clip((c * g - b * h) / determinant, -5, 5)
        slope = slope + np.clip((a * h - b * g) / determinant, -5, 5)
        if np.abs(np.stack([g, h])).max() < 1e-8 * max(1.0, weights.sum(axis=1).max()):
            break
    return np.stack([intercept, slope])


def of_probabilities(
    scores: np.ndarray, corrected: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> dict[str, Metric]:
    """Return average precision, Brier score and calibration, means over repeats, with intervals over patients.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
        Probability of the positive class, as predicted.
    corrected : ndarray of shape (repeats, n)
        The same, corrected to the images' own prevalence where training was told another one.
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Metric
        Average precision and Brier score have an interval on the logit scale, from the bootstrap's standard error (K.
        Boyd, K. H. Eng, C. D. Page, "Area under the precision-recall curve: point estimates and confidence intervals",
        ECML PKDD 2013); calibration has percentile intervals.
    """
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    names = (PRECISION, BRIER, IN_THE_LARGE, SLOPE)
    if min(n_positive, n_negative) < FEWEST:
        return dict.fromkeys(names, too_few(n_positive, n_negative, "images"))
    people = [len(set(patients[side])) for side in (is_positive, ~is_positive)]
    if min(people) < 2:
        one = Metric.unavailable("all images of a class are of one patient", n_positive, n_negative)
        return dict.fromkeys(names, one)

    def mean(statistic: Callable[..., np.ndarray], of: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda weights: np.mean([statistic(one, is_positive, weights) for one in of], axis=0)

    found = resampled(
        {
            PRECISION: mean(average_precision, scores),
            BRIER: mean(brier, scores),
            IN_THE_LARGE: mean(calibration_in_the_large, corrected),
            SLOPE: mean(calibration_slope, corrected),
        },
        is_positive,
        patients,
        seed,
    )
    counts = n_positive, n_negative, "", len(set(patients))
    return {
        PRECISION: _share(*found[PRECISION], people[0], counts),
        BRIER: _share(*found[BRIER], sum(people), counts),
        IN_THE_LARGE: _calibration(*found[IN_THE_LARGE], counts),
        SLOPE: _calibration(*found[SLOPE], counts),
    }


def _share(value: float, draws: np.ndarray, people: int, counts: tuple[int, int, str, int]) -> Metric:
    """Return a metric in [0, 1] with its interval on the logit scale, or Wilson's where no draw differs."""
    from scipy.special import expit
    from scipy.stats import norm, t

    z = float(norm.ppf((1 + LEVEL) / 2))
    spread = float(np.std(draws))
    if spread <= WIDTH or not WIDTH < value < 1 - WIDTH:
        return Metric(value, *wilson(value, people, z), *counts)
    half = float(t.ppf((1 + LEVEL) / 2, people - 1)) * spread / (value * (1 - value))
    centre = np.log(value / (1 - value))
    return Metric(value, float(expit(centre - half)), float(expit(centre + half)), *counts)


def _calibration(value: float, draws: np.ndarray, counts: tuple[int, int, str, int]) -> Metric:
    n_positive, n_negative = counts[:2]
    if np.isnan(value):
        return Metric.unavailable("all predictions are equal", n_positive, n_negative)
    if np.isinf(value):
        return Metric.unavailable("no image is ranked wrongly: the slope has no bound", n_positive, n_negative)
    low, high = percentiles(draws)
    if np.isfinite(low) and np.isfinite(high) and high - low <= WIDTH:
        return Metric.unavailable("the predictions do not vary", n_positive, n_negative)
    return Metric(value, low if np.isfinite(low) else None, high if np.isfinite(high) else None, *counts)


def predictive_values(sensitivity: Metric, specificity: Metric, prevalence: float) -> tuple[Metric, Metric]:
    """Return the positive and the negative predictive value at a prevalence.

    The sample sizes are those that the intervals of sensitivity and specificity stand for: images that are worth as
    many patients.

    Reference: N. D. Mercaldo, K. F. Lau, X. H. Zhou, "Confidence intervals for predictive values with an emphasis to
    case-control studies", Statistics in Medicine 26 (2007): the adjusted logit interval, none of a point where no image
    was misclassified.

    Parameters
    ----------
    sensitivity, specificity : Metric
    prevalence : float
        Share of patients with the disease among those who are tested, in (0, 1).

    Returns
    -------
    ppv, npv : Metric
    """
    from scipy.special import expit
    from scipy.stats import norm

    missing = next((one for one in (sensitivity, specificity) if not one.available), None)
    if missing is not None:
        return (Metric.unavailable(missing.reason),) * 2
    z = float(norm.ppf((1 + LEVEL) / 2))

    def adjusted(share: Metric) -> tuple[float, float]:
        n = _wilson_size(share, z)
        return (share.value * n + z**2 / 2) / (n + z**2), n + z**2

    (se, n1), (sp, n0) = adjusted(sensitivity), adjusted(specificity)
    positive, negative = prevalence, 1.0 - prevalence
    counts = sensitivity.n_positive, specificity.n_negative, "", sensitivity.n_patients + specificity.n_patients
    metrics = []
    for true, false, odds, spread, what in (
        (
            sensitivity.value * positive,
            (1 - specificity.value) * negative,
            se * positive / ((1 - sp) * negative),
            (1 - se) / (se * n1) + sp / ((1 - sp) * n0),
            "positive",
        ),
        (
            specificity.value * negative,
            (1 - sensitivity.value) * positive,
            sp * negative / ((1 - se) * positive),
            se / ((1 - se) * n1) + (1 - sp) / (sp * n0),
            "negative",
        ),
    ):
        if true + false <= 0:
            metrics.append(Metric.unavailable(f"no image is predicted {what}"))
            continue
        point, half = true / (true + false), z * np.sqrt(spread)
        low, high = expit(np.log(odds) - half), expit(np.log(odds) + half)
        # The interval is centred on the adjusted value; the plain one is never left outside.
        metrics.append(Metric(point, float(min(low, point)), float(max(high, point)), *counts))
    return metrics[0], metrics[1]


def _wilson_size(share: Metric, z: float) -> float:
    """Return the sample size of which a proportion would have its Wilson interval."""
    from scipy.optimize import brentq

    width = share.high - share.low

    def excess(log_n: float) -> float:
        low, high = wilson(share.value, float(np.exp(log_n)), z)
        return high - low - width

    smallest, largest = np.log(0.1), np.log(1e7)
    if excess(smallest) < 0 or excess(largest) > 0:
        return float(np.exp(smallest if excess(smallest) < 0 else largest))
    return float(np.exp(brentq(excess, smallest, largest)))


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
        Weights of images, as `intervals.patient_draws` draws them: whole patients.

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
