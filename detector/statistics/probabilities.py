"""What probabilities are worth: average precision, Brier score, calibration and their curves."""

from __future__ import annotations

import numpy as np

from detector.statistics.auc import NO_SCORES, Scores, by_score, fold_inflation
from detector.statistics.intervals import percentiles, resampled, student, wilson
from detector.statistics.metric import FEWEST, WIDTH, Metric, too_few

PRECISION, BRIER = "average_precision", "brier_score"

IN_THE_LARGE, SLOPE = "calibration_in_the_large", "calibration_slope"

STEPS = 30  # of Newton's method; it has converged after ten unless the classes are separated

CLIP = 1e-6  # a probability of 0 or 1 would be infinitely wrong

FEWEST_FOR_SLOPE = 20  # patients of each class

TIED = 1e-9  # logits that differ by less are the same


def brier(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared difference between probability and outcome.

    Reference: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950).
    """
    return weights @ (probabilities - is_positive) ** 2 / weights.sum(axis=1)


def average_precision(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the precision-recall curve, as scikit-learn defines it: Σ (Rᵢ − Rᵢ₋₁) Pᵢ."""
    found, others = by_score(scores, is_positive, weights)
    precision = np.cumsum(found, axis=1) / np.maximum(np.cumsum(found + others, axis=1), 1e-12)
    return (found * precision).sum(axis=1) / found.sum(axis=1)


def precision_recall_curve(scores: np.ndarray, is_positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean precision-recall curve over repeats, whose area is the mean average precision.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
        At least one is.

    Returns
    -------
    recall : ndarray of shape (positives + 1,)
        From 0 to 1.
    precision : ndarray of shape (positives + 1,)
        A staircase: each holds from the recall before it up to its own.
    """
    positives = int(is_positive.sum())
    precision = np.zeros(positives)
    for one in scores:
        found, others = (counts[0] for counts in by_score(one, is_positive, np.ones((1, len(one)))))
        precision += np.repeat(np.cumsum(found) / np.cumsum(found + others), found.astype(int)) / len(scores)
    return np.arange(positives + 1) / positives, np.append(precision[0], precision)


def of_probabilities(scored: Scores, seed: int, balanced: bool = True) -> dict[str, Metric]:
    """Return average precision, Brier score and calibration, means over repeats, with intervals over patients.

    Brier score and calibration are those of the probabilities as they are predicted. Where training let the classes
    count equally, these hold at equally frequent classes, so here, too, the classes count equally.

    Parameters
    ----------
    scored : Scores
        Probabilities of the positive class.
    seed : int
        Of the bootstrap, in which patients are drawn within classes: splits fix the class frequencies.
    balanced : bool, default=True
        Whether training let the classes count equally.

    Returns
    -------
    dict of str to Metric
        Average precision and Brier score have an interval on the logit scale, from the bootstrap's standard error (K.
        Boyd, K. H. Eng, C. D. Page, "Area under the precision-recall curve: point estimates and confidence intervals",
        ECML PKDD 2013), widened for out-of-fold predictions as the other metrics are (`auc.fold_inflation`).
        Calibration has percentile intervals; the slope needs `FEWEST_FOR_SLOPE` patients of each class.
    """
    scores, is_positive, patients = scored.scores, scored.is_positive, scored.patients
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    names = (PRECISION, BRIER, IN_THE_LARGE, SLOPE)
    people = [len(set(patients[side])) for side in (is_positive, ~is_positive)]
    if min(n_positive, n_negative) < FEWEST:
        return dict.fromkeys(names, too_few(n_positive, n_negative, "images"))
    if np.isnan(scores).any():
        return dict.fromkeys(names, Metric.unavailable(NO_SCORES, n_positive, n_negative))
    if min(people) < FEWEST:
        # A bootstrap over so few has next to no different draws, and its interval is far too narrow.
        return dict.fromkeys(names, too_few(people[0], people[1], "patients"))
    counted = len(is_positive) / 2 / np.where(is_positive, n_positive, n_negative) if balanced else np.ones(1)

    statistics = (
        (average_precision, np.ones(1)),
        (brier, counted),
        (calibration_in_the_large, counted),
        (calibration_slope, counted),
    )

    def means(weights: np.ndarray) -> np.ndarray:
        """Return the four metrics, means over repeats, for each row of weights."""
        # Of a slope without a bound in one repeat, and the opposite one in another, there is no mean.
        with np.errstate(invalid="ignore"):
            columns = [
                np.mean([statistic(one, is_positive, weights * counts) for one in scores], axis=0)
                for statistic, counts in statistics
            ]
        return np.stack(columns, axis=1)

    values = dict(zip(names, means(np.ones((1, len(is_positive))))[0].tolist(), strict=True))
    draws = dict(zip(names, resampled(means, is_positive, patients, seed).T, strict=True))
    wider = float(np.sqrt(fold_inflation(scored.auc(), scored.folds)))
    everyone = len(set(patients))
    worst = float(average_precision(-is_positive.astype(float), is_positive, np.ones((1, len(is_positive))))[0])
    intervals = {
        PRECISION: _logit_interval(values[PRECISION], draws[PRECISION], people[0], (worst, 1.0), wider),
        BRIER: _logit_interval(values[BRIER], draws[BRIER], everyone, (0.0, 1.0), wider),
        IN_THE_LARGE: percentiles(draws[IN_THE_LARGE]),
        SLOPE: percentiles(draws[SLOPE]),
    }
    metrics = {
        name: Metric(value, *intervals[name], n_positive, n_negative, _undefined(value), everyone)
        for name, value in values.items()
    }
    if min(people) < FEWEST_FOR_SLOPE:
        few = f"too few patients ({people[0]} and {people[1]}; {FEWEST_FOR_SLOPE} of each needed)"
        metrics[SLOPE] = Metric.unavailable(few, n_positive, n_negative)
    return metrics


def _undefined(value: float) -> str:
    """Return why a metric has no finite value; empty where it has one."""
    if np.isnan(value):
        return "all predictions are equal, or it is not defined in every repeat"
    return "the classes are separated without an error, so it has no bound" if np.isinf(value) else ""


def _logit_interval(
    value: float, draws: np.ndarray, people: int, certain: tuple[float, float], wider: float
) -> tuple[float, float]:
    """Return the interval of a metric in [0, 1] on the logit scale, or Wilson's where no draw differs.

    The standard error is the bootstrap's, multiplied by √(m / (m − 1)) for m patients and by how much `wider`
    out-of-fold predictions make it, with Student's quantile. The lower bound is moved down by the bootstrap's bias,
    where that is positive: the average precision of a small sample is too high. Near the value of a ranking without an
    error, and near that of a reversed one (`certain`), all draws are nearly alike: the interval reaches at least as far
    as Wilson's of these values. By simulation with 20 v 20, 50 v 50 and 20 v 180 patients it covers 0.93 to 0.99.
    """
    from scipy.special import expit, logit

    z = student()
    spread = float(np.std(draws)) * np.sqrt(people / (people - 1)) * wider
    if spread <= WIDTH or not WIDTH < value < 1 - WIDTH:
        low, high = wilson(value, people, z)
    else:
        slope = value * (1 - value)  # of the logistic function
        half, bias = student(people - 1) * spread / slope, (np.mean(draws) - value) / slope
        low, high = expit(logit(value) - half - np.clip(bias, 0.0, half)), expit(logit(value) + half)
    furthest = wilson(certain[1], people, z)[0], wilson(certain[0], people, z)[1]
    return float(min(low, furthest[0])), float(max(high, furthest[1]))


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Return log odds of probabilities, which are kept from 0 and 1 by `CLIP`."""
    clipped = np.clip(np.asarray(probabilities, float), CLIP, 1.0 - CLIP)
    return np.log(clipped / (1.0 - clipped))


def calibration_in_the_large(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the intercept of a logistic regression of the outcome on the logit of its probability, slope fixed at 1.

    0 where as many images are positive as the probabilities predict; above 0 where more are.

    Reference: B. Van Calster et al., "A calibration hierarchy for risk models was defined: from utopia to empirical
    data", Journal of Clinical Epidemiology 74 (2016).
    """
    found = _recalibration(logits(probabilities), is_positive, weights, slope_fixed=True)[0]
    positive, total = weights @ is_positive.astype(float), weights.sum(axis=1)
    return np.where(positive <= 0, -np.inf, np.where(positive >= total, np.inf, found))


def calibration_slope(probabilities: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the slope of a logistic regression of the outcome on the logit of its probability.

    Below 1 where probabilities are overconfident, above where they are underconfident, below 0 where they are reversed.

    Reference: D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958); B. Van
    Calster et al., "Calibration: the Achilles heel of predictive analytics", BMC Medicine 17 (2019).
    """
    x = logits(probabilities)
    slope = _recalibration(x, is_positive, weights)[1]
    drawn = weights > 0
    low_p, low_n = (np.where(drawn & side, x, np.inf).min(axis=1) for side in (is_positive, ~is_positive))
    high_p, high_n = (np.where(drawn & side, x, -np.inf).max(axis=1) for side in (is_positive, ~is_positive))
    found = np.where(low_p >= high_n - TIED, np.inf, np.where(low_n >= high_p - TIED, -np.inf, slope))
    return np.where(np.maximum(high_p, high_n) - np.minimum(low_p, low_n) <= TIED, np.nan, found)


def _recalibration(
    x: np.ndarray, is_positive: np.ndarray, weights: np.ndarray, slope_fixed: bool = False
) -> np.ndarray:
    """Return intercept and slope, free or 1, of a logistic regression on logits, (2, draws), by Newton's method."""
    start = np.array([0.0, float(slope_fixed)])
    if len(weights) > 1:
        # The solution of every draw is near that of all images.
        start = np.nan_to_num(_recalibration(x, is_positive, np.ones((1, len(x))), slope_fixed)[:, 0])
    intercept, slope = np.full(len(weights), start[0]), np.full(len(weights), start[1])
    most = 1 if slope_fixed else 5  # a step too far is cut: it overshoots where the classes are nearly separated
    for _ in range(STEPS):
        expected = 1.0 / (1.0 + np.exp(-np.clip(intercept[:, None] + slope[:, None] * x, -30, 30)))
        wrong, curvature = weights * (is_positive - expected), weights * expected * (1.0 - expected)
        a, g = curvature.sum(axis=1), wrong.sum(axis=1)
        b, c, h = (0.0 * a, 0.0 * a + 1.0, 0.0 * a) if slope_fixed else (curvature @ x, curvature @ x**2, wrong @ x)
        determinant = np.maximum(a * c - b * b, 1e-12)
        intercept = intercept + np.clip((c * g - b * h) / determinant, -most, most)
        slope = slope + np.clip((a * h - b * g) / determinant, -most, most)
        if np.abs(np.stack([g, h])).max() < 1e-8 * max(1.0, weights.sum(axis=1).max()):
            break
    return np.stack([intercept, slope])


def reliability_curve(scores: np.ndarray, is_positive: np.ndarray, balanced: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return how often images are positive at each probability: the isotonic regression over all repeats.

    Reference: T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
    PNAS 118 (2021). No bins have to be chosen.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    balanced : bool
        Whether the classes count equally, as in `of_probabilities`.

    Returns
    -------
    grid, curve : ndarray of shape (101,)
        Between the smallest and the largest probability.
    """
    from sklearn.isotonic import IsotonicRegression

    truth = np.broadcast_to(is_positive, scores.shape).ravel().astype(float)
    weights = np.where(truth > 0, 1 / is_positive.sum(), 1 / (~is_positive).sum()) if balanced else None
    grid = np.linspace(scores.min(), scores.max(), 101)
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores.ravel(), truth, weights)
    return grid, model.predict(grid)
