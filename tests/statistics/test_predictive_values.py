"""Predictive values by Bayes' theorem, with intervals over patients."""

from __future__ import annotations

import numpy as np
import pytest

from detector.statistics import intervals
from detector.statistics.metric import Metric
from detector.statistics.predictive_values import predictive_values


def test_predictive_values_by_bayes():
    sensitivity, specificity = Metric(0.9, 0.851, 0.934, 200, 0), Metric(0.95, 0.919, 0.969, 0, 300)
    ppv, npv = predictive_values(sensitivity, specificity, 0.01)
    assert ppv.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.05 * 0.99))
    assert npv.value == pytest.approx(0.95 * 0.99 / (0.95 * 0.99 + 0.1 * 0.01))
    assert ppv.ci_low < ppv.value < ppv.ci_high and npv.ci_low < npv.value < npv.ci_high


def test_predictive_values_are_wider_where_patients_have_several_images():
    hits, who = np.tile([1.0] * 9 + [0.0], 4), np.repeat(np.arange(20), 2)
    hits = np.repeat(hits[:20], 2)
    alone = [intervals.proportion(hits, np.arange(40)), intervals.proportion(hits, np.arange(40), np.zeros(40, bool))]
    pairs = [intervals.proportion(hits, who), intervals.proportion(hits, who, np.zeros(40, bool))]
    one, other = (predictive_values(*both, 0.1)[0] for both in (alone, pairs))
    assert one.value == other.value and one.ci_high - one.ci_low < other.ci_high - other.ci_low


def test_where_no_image_is_predicted_positive_there_is_no_predictive_value():
    none, every = Metric(0.0, 0.0, 0.2, 20, 0), Metric(1.0, 0.8, 1.0, 0, 20)
    ppv, npv = predictive_values(none, every, 0.1)
    assert ppv.reason == "no image is predicted positive" and npv.value == pytest.approx(0.9)
    assert not predictive_values(Metric.unavailable("no images"), every, 0.1)[0].available
