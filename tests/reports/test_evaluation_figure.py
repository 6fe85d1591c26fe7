"""The figure of an evaluation: drawn for few and many images, with any class name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, outcome_of

from detector.audit import metrics
from detector.reports.figures import evaluation_figure, is_separated


def test_separated_classes_have_no_calibration_curve():
    truth = np.arange(10) < 5
    assert is_separated(truth.astype(float), truth) and is_separated(1.0 - truth, truth)
    assert not is_separated(np.arange(10) % 3, truth) and not is_separated(np.zeros(10), truth)


@pytest.mark.parametrize(("counts", "name"), [((5, 5), "covid"), ((25, 25), "$x^2$ <b>🫁\n")])
def test_an_evaluation_is_drawn_without_a_warning(counts, name, capfd):
    """A warning is an error in a test; a font without a character would give one, and a title that is a formula."""
    extractor = extractor_of(Case(counts))
    truth = extractor.dataset.labels == 0
    noise = np.random.default_rng(0).normal(size=len(truth))
    evaluated = outcome_of(extractor, 1 / (1 + np.exp(-noise - truth)))
    found = metrics.compute_metrics(extractor, evaluated, metrics.MetricSettings(0, 0))
    named = replace(evaluated.evaluation, classes=[name, "normal"], positive=name)
    data = evaluation_figure(replace(evaluated, evaluation=named), found, "Test set", True)
    assert data.startswith(b"\x89PNG") and len(data) > 50_000
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("images", "drawn"), [(1, True), (3, False)])
def test_a_calibration_curve_needs_twenty_patients_of_each_class(images, drawn, monkeypatch):
    """24 images a class: of 24 patients, or of 8."""
    extractor = extractor_of(Case((24, 24), images=images))
    noise = np.random.default_rng(0).normal(size=48)
    evaluated = outcome_of(extractor, 1 / (1 + np.exp(-noise - (extractor.dataset.labels == 0))))
    found = metrics.compute_metrics(extractor, evaluated, metrics.MetricSettings(0, 0))
    calls = []

    def curve(scores, *others):
        calls.append(scores)
        return np.linspace(0, 1, 3), np.zeros(3)

    monkeypatch.setattr("detector.reports.figures.reliability_curve", curve)
    evaluation_figure(evaluated, found, "Test set", True)
    assert bool(calls) == drawn
