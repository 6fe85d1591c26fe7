"""A check of "Can this number be believed?", and what it looks at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from detector.audit.metrics import Figure
from detector.training.evaluation_result import Outcome
from detector.training.extraction import FeatureExtractor


@dataclass(frozen=True)
class Check:
    """One line of the block "Can this number be believed?".

    Attributes
    ----------
    name : str
    found : str
        What was found.
    why : str
        Why it matters.
    run : str
        What to run or do about it.
    alarming : bool
        Whether it is a reason for doubt.
    figures : dict
        The numbers behind it.
    """

    name: str
    found: str
    why: str
    run: str
    alarming: bool
    figures: dict[str, object] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """What was found, on a line; the page says the rest."""
        return f"{'!' if self.alarming else '-'} {self.found}"

    def __str__(self) -> str:
        return f"{self.short} {self.why} {self.run}".rstrip()


@dataclass(frozen=True)
class Run:
    """What the checks look at.

    Attributes
    ----------
    extractor : FeatureExtractor
    outcome : Outcome
    figures : dict of str to Figure
    positive : int
        Index of the positive class.
    groups : ndarray of shape (n,)
        What the split kept whole.
    seed : int
    """

    extractor: FeatureExtractor
    outcome: Outcome
    figures: dict[str, Figure]
    positive: int
    groups: np.ndarray
    seed: int
