"""How many independent observations images of the same patients are worth."""

from __future__ import annotations

import numpy as np

from detector.statistics.metric import WIDTH
from detector.statistics.strata import crossed


def effective_size(hits: np.ndarray, patients: np.ndarray) -> tuple[float, int]:
    """Return how many independent observations images of the same patients are worth, and the number of patients.

    The design effect is the variance of the proportion over patients, divided by that over as many independent images.
    It is not below 1. Where every image agrees it cannot be estimated, and a patient counts as one observation.

    References: J. N. K. Rao, A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48
    (1992); E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24 (1998).

    Parameters
    ----------
    hits : ndarray of shape (n,)
        In [0, 1]: whether each image is a hit, or in what share of repeats.
    patients : ndarray of shape (n,)

    Returns
    -------
    size : float
    patients : int
    """
    n, value = len(hits), float(hits.mean())
    inverse = np.unique(patients, return_inverse=True)[1]
    count = int(inverse.max()) + 1
    images = np.bincount(inverse, minlength=count)
    if count == n:
        return float(n), count
    binomial = value * (1 - value) / n
    if count < 2 or binomial < WIDTH:
        return float(count), count
    residuals = np.bincount(inverse, hits, minlength=count) - value * images
    clustered = count / (count - 1) * (residuals**2).sum() / n**2
    return n / max(clustered / binomial, 1.0), count


def kish_number(images: np.ndarray) -> float:
    """Return Kish's effective number of patients: (Σm)² / Σm², of patients with m images each.

    Reference: L. Kish, "Survey Sampling" (1965), section 11.7.

    Parameters
    ----------
    images : ndarray of shape (patients,), int

    Returns
    -------
    float
        From 1 to the number of patients; 0 where there are none.
    """
    return float(images.sum() ** 2 / (images**2).sum()) if len(images) else 0.0


def patient_share(patients: np.ndarray, is_positive: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Return the share of its class and stratum's images that each image's patient has.

    A patient pulls a mean towards itself by its share h: the variance of its residual is too small by 1 - h.

    Reference: R. M. Bell, D. F. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
    samples", Survey Methodology 28 (2002).

    Parameters
    ----------
    patients : ndarray of shape (n,), int
    is_positive : ndarray of shape (n,), bool
    strata : ndarray of shape (n,), str or int
        All known.

    Returns
    -------
    ndarray of shape (n,)
        In (0, 1]; 1 where the patient is the only one.
    """
    cells = crossed(strata, is_positive.astype(int))
    pairs = crossed(cells, patients)
    return np.bincount(pairs)[pairs] / np.bincount(cells)[cells]
