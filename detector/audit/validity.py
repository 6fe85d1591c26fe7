"""The validity checks, in the order in which they are printed: what a run can see for free of its own result.

A check is a function of `checks.Run` that returns a `checks.Check`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check, Run
from detector.audit.data_checks import (
    age_groups,
    border_adjusted,
    duplicates,
    file_properties,
    image_border,
    image_content,
    site_and_view,
    views,
)
from detector.audit.result_checks import calibration, chance, class_balance, pooled_area, test_set_size

CHECKS: Sequence[Callable[[Run], Check]] = (
    test_set_size,
    chance,
    image_content,
    site_and_view,
    views,
    file_properties,
    image_border,
    border_adjusted,
    duplicates,
    age_groups,
    class_balance,
    calibration,
    pooled_area,
)


def run_checks(run: Run) -> list[Check]:
    """Return what every check finds in a run, in the order of `CHECKS`."""
    return [check(run) for check in CHECKS]


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Return checks that warn before those that were not assessed before those that pass."""
    return sorted(checks, key=lambda check: (WARN, NOT_ASSESSED, PASS).index(check.status))
