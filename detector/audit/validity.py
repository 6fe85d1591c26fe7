"""The validity checks, in the order in which they are printed: what a run can see for free of its own result.

A check is a function of `checks.Run` that returns a `checks.Check`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

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
from detector.audit.result_checks import calibration, chance, class_balance, pooling, test_set_size
from detector.datasets.dataset import Image

COMMANDS = re.compile(r"(?<!python )\b(?:audit_covid19|build_covid_dataset)\.py\b")
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
    """Return what every check finds in a run, in the order of `CHECKS`; commands in it are those of this data set."""
    folder = folder_of(run.extractor.dataset.images[0])
    found = [check(run) for check in CHECKS]
    return [replace(check, recommendation=whole_commands(check.recommendation, folder)) for check in found]


def folder_of(image: Image) -> Path:
    """Return the folder of the class folders that an image lies in."""
    return image.path.parents[len(Path(image.file).parts) - 1]


def whole_commands(text: str, folder: Path) -> str:
    """Return a recommendation whose commands can be pasted: with ``python``, and an audit with the data set.

    Parameters
    ----------
    text : str
        Such as ``"Run audit_covid19.py."``.
    folder : Path
        Of the data set.
    """
    data = f" -d {shlex.quote(str(folder))}"
    return COMMANDS.sub(lambda name: f"python {name[0]}{data if name[0].startswith('audit') else ''}", text)


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Return checks that warn before those that were not assessed before those that pass."""
    return sorted(checks, key=lambda check: (WARN, NOT_ASSESSED, PASS).index(check.status))
