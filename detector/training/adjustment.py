"""Whether a probe is fitted within site and view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector import InputError
from detector.command_line import Log
from detector.statistics.strata import comparable, holding_two_classes


def is_adjusted(
    choice: str, labels: np.ndarray, strata: np.ndarray, classes: Sequence[str], sides: Sequence[np.ndarray], log: Log
) -> bool:
    """Decide whether a probe is fitted within strata, and say so in a line.

    Parameters
    ----------
    choice : {"auto", "strata", "none"}
    labels : ndarray of shape (n,), int
    strata : ndarray of shape (n,), str
    classes : sequence of str
    sides : sequence of ndarray of int
        The training sides that a probe will be fitted to.
    log : Log

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If strata are asked for, and a class shares none with another.
    """
    if choice == "none":
        return False
    if not all(comparable(labels[rows], strata[rows], len(classes)) for rows in sides):
        if choice == "strata":
            raise InputError(
                "--adjust strata: not every class shares a site and view with another among the training images, so "
                "nothing about the disease can be compared within a source; add controls of the same source, or use "
                "--adjust none"
            )
        log.info(
            "nothing about the disease can be compared within a source: no site and view holds enough of both "
            "classes. What tells the sources apart is learnt as well, and no figure here can tell it from the disease"
        )
        return False
    kept = holding_two_classes(labels, strata)
    others = f"; the other {(~kept).sum()} teach next to nothing about the disease" if not kept.all() else ""
    log.info(
        f"fitted within site and view: {len(set(strata[kept]))} of them hold two classes, {kept.sum()} images{others}"
    )
    return True
