"""Compare the ROC AUCs of two training runs on the same patients by a paired test, from what the runs recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detector.statistics.auc import influence, refit_inflation
from detector.statistics.resampling import LEVEL


def read_run(folder: str) -> dict[str, Any]:
    """Return what a training run in a folder of the lesson recorded."""
    return json.loads((Path(folder) / "covid19.json").read_text(encoding="utf-8"))


class EqualRanksError(ValueError):
    """No patient's influence differs between two runs, such as where both separate the classes perfectly."""


@dataclass(frozen=True)
class AucChange:
    """The difference of the ROC AUCs of two runs on the same patients.

    Attributes
    ----------
    value, low, high : float
        The difference and its 95 % interval.
    p : float
        Of the paired test that there is no difference.
    """

    value: float
    low: float
    high: float
    p: float

    @property
    def verb(self) -> str:
        """What happened, as far as the interval shows it."""
        if self.low > 0:
            return "rose"
        return "fell" if self.high < 0 else "did not change detectably,"

    def __str__(self) -> str:
        """Return difference, interval and p value."""
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        return f"difference {self.value:+.2f} (95 % CI {self.low:+.2f} to {self.high:+.2f}), paired test {p}"


def auc_change(before: str, after: str) -> AucChange:
    """Compare the ROC AUCs of two runs by a paired test.

    Each image's influence on the one area is subtracted from that on the other, and the differences are added up by
    patient, so that what a patient adds to both areas cancels. Only images of one fold are compared with each other.
    The standard error is widened because each fold's model was fitted to the sample too (`refit_inflation`).

    References: E. R. DeLong et al., Biometrics 44 (1988); N. A. Obuchowski, Biometrics 53 (1997).

    Parameters
    ----------
    before, after : str
        Folders of two runs on the same files.

    Raises
    ------
    ValueError
        If they were not evaluated on the same files.
    EqualRanksError
        If no patient's influence changed, so that there is nothing to test.
    """
    from scipy.stats import t

    first, second = Scores.of(before), Scores.of(after)
    if first.files != second.files:
        raise ValueError(f"{before} and {after} were not evaluated on the same files")
    (area, moved), (other, moved_after) = (influence(one.scores, one.is_positive, one.folds) for one in (first, second))
    strata = max(len(set(one.folds.tolist())) for one in (first, second))
    variance, freedom = 0.0, len(first.files)
    for side in (first.is_positive, ~first.is_positive):
        people = np.unique(first.patients[side], return_inverse=True)[1]
        sums = np.bincount(people, (moved_after - moved)[side])
        # The mean of each fold takes one patient's freedom.
        variance += len(sums) / (len(sums) - strata) * float((sums**2).sum())
        freedom = min(freedom, len(sums) - strata)
    if variance <= 0:
        raise EqualRanksError(f"the ranks of {before} and {after} do not differ: there is nothing to test")
    error = np.sqrt(variance * (np.mean([refit_inflation(area), refit_inflation(other)]) if strata > 1 else 1.0))
    value, half = other - area, float(t.ppf((1 + LEVEL) / 2, freedom) * error)
    p = float(2 * t.sf(abs(value) / error, freedom))
    return AucChange(value, max(value - half, -1.0), min(value + half, 1.0), p)


@dataclass(frozen=True)
class Scores:
    """The test images of a run, in order of their files."""

    files: list[str]
    scores: np.ndarray
    is_positive: np.ndarray
    patients: np.ndarray
    folds: np.ndarray

    @classmethod
    def of(cls, folder: str) -> Scores:
        """Return the test images of a run in a folder."""
        run = read_run(folder)
        images = sorted(run["held_out"], key=lambda image: image["file"])
        positive = run["settings"]["positive_class"]
        return cls(
            [image["file"] for image in images],
            np.array([image["probabilities"][positive] for image in images]),
            np.array([image["label"] == positive for image in images]),
            np.array([image["patient"] for image in images]),
            np.array([image["fold"] or 0 for image in images]),
        )
