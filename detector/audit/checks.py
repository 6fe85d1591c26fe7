"""The checks of "Can this number be believed?": what a run can see for free of its own result.

A check is a function of `Run` that returns a `Check`, or None where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detector.audit.check import Check, Run
from detector.audit.data_checks import border, children, duplicates, properties, source, views
from detector.audit.result_checks import calibration, imbalance, size

# In the order in which they are printed.
CHECKS: Sequence[Callable[[Run], Check | None]] = (
    size,
    source,
    views,
    properties,
    border,
    duplicates,
    children,
    imbalance,
    calibration,
)


def run_checks(run: Run) -> list[Check]:
    """Return what every check says of a run."""
    return [found for check in CHECKS if (found := check(run)) is not None]
