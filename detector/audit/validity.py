"""The validity checks, in the order in which they are printed: what a run can see for free of its own result.

A check is a function of `checks.Run` that returns a `checks.Check`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check, Run
from detector.audit.data_checks import (
    AUDIT,
    age_groups,
    border_adjusted,
    duplicates,
    file_properties,
    image_border,
    image_content,
    site_and_view,
    views,
)
from detector.audit.result_checks import calibration, chance, class_balance, pooling, test_set_size
from detector.training.recipes import ProbeRecipe, Recipe

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
    pooling,
)


def run_checks(run: Run) -> list[Check]:
    """Return what every check finds in a run, in the order of `CHECKS`; commands in it are whole."""
    found = [check(run) for check in CHECKS]
    return [replace(check, recommendation=check.recommendation.replace(AUDIT, run.audit)) for check in found]


def audit_flags(folder: Path, recipe: Recipe) -> list[str]:
    """Return the arguments with which a data set is audited by the recipe of a training run."""
    flags = ["-d", str(folder)]
    if recipe.name == ProbeRecipe.name:
        flags += ["--recipe", recipe.name]
    return flags if recipe.pooling == type(recipe).pooling else [*flags, "--pooling", recipe.pooling]


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Return checks that warn before those that were not assessed before those that pass."""
    return sorted(checks, key=lambda check: (WARN, NOT_ASSESSED, PASS).index(check.status))
