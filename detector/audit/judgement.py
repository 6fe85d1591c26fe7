"""From predictions to what they are worth: metrics, validity checks and subgroups.

The one way there, for a training run, for a model or a table of predictions on a labelled folder, and for each external
test set of an audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.audit.checks import Check, Run, run_checks
from detector.audit.metrics import MetricSettings, compute_metrics
from detector.audit.subgroups import Subgroup, subgroups
from detector.statistics.metric import Metric
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor, ImplausibleImage


@dataclass(frozen=True)
class Judgement:
    """What predictions are worth, beside their `Evaluation`."""

    metrics: dict[str, Metric]
    checks: list[Check]
    subgroups: list[Subgroup]

    def check(self, name: str) -> Check:
        """Return the check of an id."""
        return next(one for one in self.checks if one.id == name)


def judge(
    extractor: FeatureExtractor,
    evaluated: EvaluatedHead,
    setting: MetricSettings,
    groups: np.ndarray | None = None,
    implausible: Sequence[ImplausibleImage] = (),
) -> Judgement:
    """Return what predictions are worth.

    Parameters
    ----------
    extractor : FeatureExtractor
        All images of the run.
    evaluated : EvaluatedHead
        The predictions of those that were held out.
    setting : MetricSettings
    groups : ndarray of shape (n,), optional
        What the split kept whole; by default patients.
    implausible : sequence of ImplausibleImage
    """
    metrics = compute_metrics(extractor, evaluated, setting)
    kept = extractor.patients if groups is None else groups
    checks = run_checks(Run(extractor, evaluated, metrics, kept, implausible))
    return Judgement(metrics, checks, subgroups(extractor, evaluated, setting.positive))
