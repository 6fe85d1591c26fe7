"""The cross-entropy of logits, and the intercepts that minimise it."""

from __future__ import annotations

import numpy as np


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image, (n,), natural logarithms.

    Parameters
    ----------
    logits : ndarray of shape (n, classes)
    labels : ndarray of shape (n,), int
    """
    from scipy.special import log_softmax

    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def best_intercepts(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the intercepts that minimise the weighted cross-entropy when added to given logits.

    Parameters
    ----------
    logits : ndarray of shape (n, classes)
    labels : ndarray of shape (n,), int
    weights : ndarray of shape (n,)
        How much each image counts; above 0.

    Returns
    -------
    ndarray of shape (classes,)
        They add up to 0.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    shares, own = weights / weights.sum(), (np.arange(len(labels)), labels)

    # The logarithm of the loss, and its gradient: where the classes are nearly separated the loss itself is flat to
    # the last digits. Minimised by finite differences, it ended a quarter of a logit off, and elsewhere after a
    # rounding of the features.
    def loss(intercepts: np.ndarray) -> tuple[float, np.ndarray]:
        margins = logits + intercepts
        margins -= margins[own][:, None]
        margins[own] = -np.inf
        losses = np.logaddexp(0, logsumexp(margins, axis=1))
        gradients = np.exp(margins - losses[:, None])
        gradients[own] = -gradients.sum(axis=1)
        total = shares @ losses
        return float(np.log(total)), shares @ gradients / total

    found = minimize(loss, np.zeros(logits.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-8}).x
    return found - found.mean()
