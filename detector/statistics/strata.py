"""Strata: images of one site and one view, which alone can be compared with each other."""

from __future__ import annotations

import numpy as np


def holding_two_classes(labels: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Return which images are in a stratum that holds images of another class as well.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Classes, as numbers or as booleans.
    strata : ndarray of shape (n,), str
        Empty where an image's stratum is not known: such images are in none.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    names, inverse = np.unique(strata, return_inverse=True)
    kinds, codes = np.unique(labels, return_inverse=True)
    present = np.zeros((len(names), len(kinds)), bool)
    present[inverse, codes] = True
    return ((present.sum(axis=1) > 1) & (names != ""))[inverse]


def comparable(labels: np.ndarray, strata: np.ndarray, classes: int) -> bool:
    """Tell whether every class shares a stratum with another, so that it can be compared within one."""
    return len(set(labels[holding_two_classes(labels, strata)])) == classes
