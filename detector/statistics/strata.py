"""Strata of images that can be compared with each other, and small helpers of linear fits."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np

# Of the median standard deviation of all features; a smaller one is raised to this. A channel that is silent inside the
# lungs of all training images has a mean of about 1e-14 there, which comes from the weight of the pixels outside. If it
# were divided by its own spread, the first image in which it is not silent would lie 1e13 standard deviations away.
LEAST_SPREAD = 0.1


def crossed(*columns: np.ndarray) -> np.ndarray:
    """Return the strata within which all of some properties are equal.

    Parameters
    ----------
    *columns : ndarray of shape (n,) or (repeats, n)
        Text that is empty, or a number below 0, means that the property of an image is not known.

    Returns
    -------
    ndarray of shape (n,) or (repeats, n), int
        A code for each stratum; -1 for images that can be compared with none, since a property is not known.
    """
    shape = np.broadcast_shapes(*(np.shape(column) for column in columns))
    codes, known = np.zeros(shape, int), np.ones(shape, bool)
    for column in map(np.asarray, columns):
        known &= column != "" if column.dtype.kind == "U" else column >= 0
        values, inverse = np.unique(column, return_inverse=True)
        codes = codes * len(values) + inverse.reshape(column.shape)
        codes = np.unique(codes, return_inverse=True)[1].reshape(shape)
    return np.where(known, codes, -1)


def holding_two_classes(labels: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Return which images are in a stratum that holds images of another class as well.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Classes, as numbers or as booleans.
    strata : ndarray of shape (n,), str or int
        Empty, or below 0, where an image's stratum is not known: such images are in none.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    strata = crossed(strata)
    names, inverse = np.unique(strata, return_inverse=True)
    kinds, codes = np.unique(labels, return_inverse=True)
    present = np.zeros((len(names), len(kinds)), bool)
    present[inverse, codes] = True
    return ((present.sum(axis=1) > 1) & (names >= 0))[inverse]


def stratum_weight(n_positive: np.ndarray, n_negative: np.ndarray) -> np.ndarray:
    """Return what strata count in a mean area: n₊n₋ / (n₊ + n₋ + 1), van Elteren's weight.

    Reference: Ph. van Elteren, "On the combination of independent two-sample tests of Wilcoxon", Bulletin of the
    International Statistical Institute 37 (1960).
    """
    return n_positive * n_negative / (n_positive + n_negative + 1)


def spread(features: np.ndarray) -> np.ndarray:
    """Return what each feature is divided by: its standard deviation, no less than a tenth of the median one.

    Reference: V. G. Tusher, R. Tibshirani, G. Chu, "Significance analysis of microarrays applied to the ionizing
    radiation response", PNAS 98 (2001), who add such a constant for genes that are hardly expressed.

    Parameters
    ----------
    features : ndarray of shape (n, width)

    Returns
    -------
    ndarray of shape (width,)
        Infinite where a feature is constant or differs by rounding only: it holds no information.
    """
    scale = features.std(axis=0, dtype=float)
    varies = scale > 1e-6 * np.abs(features.mean(axis=0, dtype=float))
    floor = LEAST_SPREAD * np.median(scale[varies]) if varies.any() else 0.0
    return np.where(varies, np.maximum(scale, floor), np.inf)


def one_thread() -> AbstractContextManager:
    """Limit the threads of the numerical libraries that are imported, while a block runs.

    A fit of some hundred images is thousands of products of small matrices. For each of them a pool of threads is woken
    that spins while it waits; where the cores are busy, as with two training runs at once, it mostly waits.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
