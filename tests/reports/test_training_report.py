"""The report of a training run."""

from __future__ import annotations

import numpy as np

from detector.audit.checks import Check
from detector.reports import training_report


def test_the_conclusion_counts_the_checks_that_warn():
    from detector.statistics.evaluation import Predictions, evaluate

    labels = np.array([0, 1] * 20)
    patients = np.arange(40).astype(str)
    predictions = Predictions.of_one_model(labels, patients, np.eye(2)[labels] * 0.8 + 0.1, labels)
    result = evaluate(predictions, ["covid", "normal"], 0)
    fine, warning = (Check("views", status, "Found.") for status in ("pass", "warn"))
    assert "None of 2 checks warns." in training_report.conclusion(result, [fine, fine])
    assert "1 of 2 checks warns: views." in training_report.conclusion(result, [fine, warning])
