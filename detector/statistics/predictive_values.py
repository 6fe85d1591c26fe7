"""Predictive values at a prevalence."""

from __future__ import annotations

import numpy as np

from detector.statistics.intervals import LEVEL, wilson
from detector.statistics.metric import Metric


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
        return (share.point * n + z**2 / 2) / (n + z**2), n + z**2

    (se, n1), (sp, n0) = adjusted(sensitivity), adjusted(specificity)
    positive, negative = prevalence, 1.0 - prevalence
    n_patients = sensitivity.n_patients + specificity.n_patients
    counts = sensitivity.n_positive, specificity.n_negative, "", n_patients
    metrics = []
    for true, false, odds, spread, what in (
        (
            sensitivity.point * positive,
            (1 - specificity.point) * negative,
            se * positive / ((1 - sp) * negative),
            (1 - se) / (se * n1) + sp / ((1 - sp) * n0),
            "positive",
        ),
        (
            specificity.point * negative,
            (1 - sensitivity.point) * positive,
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
        low, high = wilson(share.point, float(np.exp(log_n)), z)
        return high - low - width

    smallest, largest = np.log(0.1), np.log(1e7)
    if excess(smallest) < 0 or excess(largest) > 0:
        return float(np.exp(smallest if excess(smallest) < 0 else largest))
    return float(np.exp(brentq(excess, smallest, largest)))
