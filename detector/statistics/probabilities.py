"""What probabilities are worth: average precision, Brier score, calibration and their curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detector.statistics.metric import FEWEST, WIDTH, Metric, too_few
from detector.statistics.resampling import LEVEL, percentiles, resampled, wilson

PRECISION, BRIER = "average_precision", "brier_score"

Counts = tuple[int, int, int]  # images of each class, patients

IN_THE_LARGE, SLOPE = "calibration_in_the_large", "calibration_slope"

STEPS = 30  # of Newton's method; it has converged after ten unless the classes are separated

CLIP = 1e-6  # a probability of 0 or 1 would be infinitely wrong

TIED = 1e-9  # logits that differ by less are the same


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
    n_predicted = np.add.reduceat(weights[:, order], steps, axis=1)
    n_so_far = np.cumsum(n_predicted, axis=1)
    precision = np.cumsum(found, axis=1) / np.maximum(n_so_far, 1e-12)
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
        thresholds = np.sort(one[is_positive])[::-1]
        n_predicted = len(one) - np.searchsorted(np.sort(one), thresholds, side="left")
        found = positives - np.searchsorted(thresholds[::-1], thresholds, side="left")
        precision += found / n_predicted / len(scores)
    return np.arange(positives + 1) / positives, np.append(precision[0], precision)


def of_probabilities(
    scores: np.ndarray, corrected: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int
) -> dict[str, Metric]:
    """Return average precision, Brier score and calibration, means over repeats, with intervals over patients.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
        Probability of the positive class, as predicted.
    corrected : ndarray of shape (repeats, n)
        The same, corrected to the images' own prevalence where training assumed another one.
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Metric
        Average precision and Brier score have an interval on the logit scale, from the bootstrap's standard error (K.
        Boyd, K. H. Eng, C. D. Page, "Area under the precision-recall curve: point estimates and confidence intervals",
        ECML PKDD 2013); calibration-in-the-large has a percentile interval, the slope one that is corrected for bias.
        The classes are drawn apart: intervals hold at the class frequencies of these images, which splits fix. Only
        for calibration-in-the-large, which is about these frequencies, patients of all classes are drawn together. By
        simulation of calibrated probabilities (100 to 400 patients, 300 data sets each) its interval then covers 0.90
        to 0.95, with the classes apart 0.24 to 0.82; where a split fixes the frequencies, 0.98 to 1.00.
    """
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    names = (PRECISION, BRIER, IN_THE_LARGE, SLOPE)
    if min(n_positive, n_negative) < FEWEST:
        return dict.fromkeys(names, too_few(n_positive, n_negative, "images"))
    people = [len(set(patients[side])) for side in (is_positive, ~is_positive)]
    if min(people) < 2:
        one = Metric.unavailable("all images of a class are of one patient", n_positive, n_negative)
        return dict.fromkeys(names, one)
    if min(people) < FEWEST:
        # A bootstrap over so few has next to no different draws, and its interval is far too narrow.
        return dict.fromkeys(names, too_few(people[0], people[1], "patients"))

    def mean(statistic: Callable[..., np.ndarray], of: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def over_repeats(weights: np.ndarray) -> np.ndarray:
            # Of a slope without a bound in one repeat, and the opposite one in another, there is no mean.
            with np.errstate(invalid="ignore"):
                return np.mean([statistic(one, is_positive, weights) for one in of], axis=0)

        return over_repeats

    found = resampled(
        {
            PRECISION: mean(average_precision, scores),
            BRIER: mean(brier, corrected),
            SLOPE: mean(calibration_slope, corrected),
        },
        is_positive,
        patients,
        seed,
    )
    whole = np.ones(len(is_positive), bool)
    found |= resampled({IN_THE_LARGE: mean(calibration_in_the_large, corrected)}, whole, patients, seed)
    counts = n_positive, n_negative, len(set(patients))
    return {
        PRECISION: _share(*found[PRECISION], people[0], (_reversed_precision(is_positive), 1.0), counts),
        BRIER: _share(*found[BRIER], len(set(patients)), (0.0, 1.0), counts),
        IN_THE_LARGE: _calibration(*found[IN_THE_LARGE], counts, len(corrected)),
        SLOPE: _calibration(*found[SLOPE], counts, len(corrected), min(people)),
    }


def _reversed_precision(is_positive: np.ndarray) -> float:
    """Return the average precision of a ranking that has every positive image below every other."""
    return float(average_precision(-is_positive.astype(float), is_positive, np.ones((1, len(is_positive))))[0])


def _share(value: float, draws: np.ndarray, people: int, certain: tuple[float, float], counts: Counts) -> Metric:
    """Return a metric in [0, 1] with its interval on the logit scale, or Wilson's where no draw differs.

    The standard error is the bootstrap's, multiplied by √(m / (m − 1)) for m patients, with Student's quantile. The
    lower bound is moved down by the bootstrap's bias, where that is positive: the average precision of a small sample
    is too high. Near the value of a ranking without an error, and near that of a reversed one, all draws are nearly
    alike: the interval reaches at least as far as Wilson's of these values. By simulation with 20 v 20, 50 v 50 and 20
    v 180 patients it covers 0.93 to 0.99.

    Parameters
    ----------
    value : float
    draws : ndarray of shape (draws,)
    people : int
        Patients, from 2 on.
    certain : (float, float)
        The lowest and the highest value possible, as far as draws cannot show how certain they are.
    counts : (int, int, int)
        Images of each class, patients.

    Returns
    -------
    Metric
    """
    from scipy.special import expit, logit
    from scipy.stats import norm, t

    n_positive, n_negative, n_patients = counts
    z = float(norm.ppf((1 + LEVEL) / 2))
    spread = float(np.std(draws)) * np.sqrt(people / (people - 1))
    if spread <= WIDTH or not WIDTH < value < 1 - WIDTH:
        low, high = wilson(value, people, z)
    else:
        slope = value * (1 - value)  # of the logistic function
        half, bias = float(t.ppf((1 + LEVEL) / 2, people - 1)) * spread / slope, (np.mean(draws) - value) / slope
        low, high = expit(logit(value) - half - np.clip(bias, 0.0, half)), expit(logit(value) + half)
    furthest = wilson(certain[1], people, z)[0], wilson(certain[0], people, z)[1]
    bounds = float(min(low, furthest[0])), float(max(high, furthest[1]))
    return Metric(value, *bounds, n_positive, n_negative, n_patients=n_patients)


def _calibration(value: float, draws: np.ndarray, counts: Counts, repeats: int, fewest: int = 0) -> Metric:
    """Return a metric without limits: with a percentile interval or, given the fewest patients, a corrected one."""
    n_positive, n_negative, n_patients = counts
    if np.isnan(value):
        reason = "all predictions are equal" if repeats == 1 else "it is not defined in every repeat"
        return Metric.unavailable(reason, n_positive, n_negative)
    if np.isinf(value):
        all_or_none = ("" if repeats == 1 else "in a repeat ") + ("no image is" if value > 0 else "all images are")
        return Metric.unavailable(f"{all_or_none} ranked wrongly, so it has no bound", n_positive, n_negative)
    low, high = _bias_corrected(value, draws, fewest) if fewest else percentiles(draws)
    if np.isfinite(low) and np.isfinite(high) and high - low <= WIDTH:
        return Metric.unavailable("the predictions do not vary", n_positive, n_negative)
    return Metric(
        value,
        low if np.isfinite(low) else None,
        high if np.isfinite(high) else None,
        n_positive,
        n_negative,
        n_patients=n_patients,
    )


def _bias_corrected(value: float, draws: np.ndarray, people: int) -> tuple[float, float]:
    """Return an interval from the bootstrap's median bias and standard error, with Student's quantile.

    Slopes of few patients are too steep, and those of the draws are so twice over: percentiles lie too high. The bias
    is that of the median; the standard error, half the range of the middle 68 %, so that a few separated draws, whose
    slope is infinite, do not decide it. Where more are separated, one side has no bound. By simulation of calibrated
    probabilities (10 v 10 to 30 v 30 and 15 v 150 patients, 60 to 120 data sets each) they cover 0.95 to 1.00,
    and lie above 1 in at most 0.02; percentiles cover 0.83 to 0.94, and lie above 1 in 0.05 to 0.17. The rule
    for one side without a bound was simulated in a slightly different form only.

    Reference: B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 10 and 12.
    """
    from scipy.stats import norm, t

    known = draws[~np.isnan(draws)]
    if not len(known):
        return percentiles(draws)
    low, middle, high = np.quantile(known, [norm.cdf(-1), 0.5, norm.cdf(1)], method="inverted_cdf")
    if not np.isfinite(middle):
        return percentiles(draws)
    reach = float(t.ppf((1 + LEVEL) / 2, people - 1)) * np.sqrt(people / (people - 1))
    centre = 2 * value - middle
    errors = [side for side in (middle - low, high - middle) if np.isfinite(side)]
    half = reach * float(np.mean(errors)) if errors else np.inf
    return (
        float(centre - half) if np.isfinite(low) else -np.inf,
        float(centre + half) if np.isfinite(high) else np.inf,
    )


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
