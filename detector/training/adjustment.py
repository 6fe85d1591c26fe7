"""Whether a probe is fitted within site and view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector import InputError, counted
from detector.cli.output import Log
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
                "the disease cannot be compared within a site; add controls from the same site, or use --adjust none"
            )
        log.info(
            "not adjusted for site and view: none contains enough images of both classes, so the model may learn the "
            "site instead of the disease, and no metric here can show which"
        )
        return False
    kept = holding_two_classes(labels, strata)
    number = len(set(strata[kept]))
    what = "1 stratum contains" if number == 1 else f"{number} strata contain"
    others = f"; the other {counted(int((~kept).sum()), 'image')} hardly affect the fit" if not kept.all() else ""
    log.info(f"fitted within site and view: {what} two classes, {counted(int(kept.sum()), 'image')}{others}")
    return True
