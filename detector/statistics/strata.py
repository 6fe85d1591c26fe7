"""Strata: images that can be compared with each other, such as those of one site and one view."""

from __future__ import annotations

import numpy as np


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

    Parameters
    ----------
    n_positive, n_negative : ndarray
        Images of each class in each stratum, or sums of their weights.
    """
    return n_positive * n_negative / (n_positive + n_negative + 1)


def comparable(labels: np.ndarray, strata: np.ndarray, classes: int) -> bool:
    """Return whether every class shares a stratum with another, so that it can be compared within one."""
    return len(set(labels[holding_two_classes(labels, strata)])) == classes
