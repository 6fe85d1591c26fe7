"""A validity check of a training run: what it looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.statistics.metric import Metric
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor, ImplausibleImage
from detector.training.recipes import Recipe

Status = Literal["pass", "warn", "not_assessed"]
PASS: Status = "pass"
WARN: Status = "warn"
NOT_ASSESSED: Status = "not_assessed"


@dataclass(frozen=True)
class Check:
    """One line of "Validity checks".

    Attributes
    ----------
    id : str
        Stable, such as ``"image_border"``.
    status : {"pass", "warn", "not_assessed"}
        Not assessed: the data that it needs is not there.
    message : str
        What was found.
    recommendation : str
        What to run or do about it; empty where there is nothing to do.
    """

    id: str
    status: Status
    message: str
    recommendation: str = ""

    @property
    def title(self) -> str:
        """The id in words."""
        return self.id.replace("_", " ")

    @property
    def warns(self) -> bool:
        """Whether the check found a problem."""
        return self.status == WARN

    def __str__(self) -> str:
        """Return status, title and message in a line."""
        status = "n/a" if self.status == NOT_ASSESSED else self.status
        return f"{status:<4}  {self.title:<18}  {self.message}"


@dataclass(frozen=True)
class Run:
    """What the checks look at.

    Attributes
    ----------
    extractor : FeatureExtractor
    evaluated : EvaluatedHead
    metrics : dict of str to Metric
        As `detector.audit.metrics.compute_metrics` returns them.
    recipe : TutorialRecipe or ProbeRecipe
    groups : ndarray of shape (n,)
        What the split kept whole.
    implausible : sequence of ImplausibleImage
        Those that may be no frontal chest radiographs.
    command : str
        The run's command line, to which advised flags are added.
    audit : str
        Command line of an audit of the same data set by the same recipe.
    """

    extractor: FeatureExtractor
    evaluated: EvaluatedHead
    metrics: dict[str, Metric]
    recipe: Recipe
    groups: np.ndarray
    implausible: Sequence[ImplausibleImage]
    command: str = "python train_covid19.py -d DIR"
    audit: str = "python audit_covid19.py -d DIR"
