"""Figures are drawn for every input, without a warning, and are the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, outcome_of

from detector.audit import metrics
from detector.audit.evidence import BASELINES, SIGNAL, Conclusion, Result
from detector.reports import figures
from detector.statistics.metric import Metric

EPOCHS = {"loss": [0.7, 0.5], "accuracy": [0.5, 0.8], "val_loss": [0.7, 0.6], "val_accuracy": [0.4, 0.7]}
STRENGTHS = {"strength": [1e-4, 1e-2, 1.0], "loss": [0.6, 0.3, 0.1], "cv_loss": [0.6, 0.4, 0.5]}
NOTHING = {"strength": [], "loss": [], "cv_loss": []}


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml"), (".jpg", b"\xff\xd8")]
)
def test_the_suffix_decides_the_format_and_the_bytes_are_the_same_each_time(suffix, start):
    def draw() -> bytes:
        figure = figures.new_figure(2, 2, "title")
        figure.subplots().plot([0, 1], [1, 0])
        return figures.as_file(figure, suffix)

    data = draw()
    assert data.startswith(start)
    if suffix != ".svg":  # its ids are drawn at random
        assert data == draw()


@pytest.mark.parametrize(
    ("history", "strength"),
    [(EPOCHS, None), ({name: EPOCHS[name] for name in ("loss", "accuracy")}, None), (STRENGTHS, 1e-2), (NOTHING, 0.1)],
)
def test_learning_curves_are_drawn(history, strength, capfd):
    data = figures.history(SimpleNamespace(history=history, strength=strength))
    assert data.startswith(b"\x89PNG") and capfd.readouterr().err == ""


def test_an_overlay_marks_the_part_that_the_pooling_reads():
    pixels, heat = np.full((224, 224, 3), 90, np.uint8), np.eye(14)
    whole, part = (figures.overlay(pixels, heat, seen, "covid, probability 0.9") for seen in (1.0, 8 / 14))
    assert whole.startswith(b"\x89PNG") and whole != part


@pytest.mark.parametrize(
    ("counts", "images", "name", "curve"),
    [((5, 5), 1, "covid", False), ((24, 24), 3, "covid", False), ((24, 24), 1, "$x^2$ <b>🫁\n", True)],
)
def test_an_evaluation_is_drawn_without_a_warning(counts, images, name, curve, capfd, monkeypatch):
    """A font without a character would warn, and so would a title that is a formula; a curve needs 20 patients."""
    extractor = extractor_of(Case(counts, images=images))
    truth = extractor.dataset.labels == 0
    noise = np.random.default_rng(0).normal(size=len(truth))
    evaluated = outcome_of(extractor, 1 / (1 + np.exp(-noise - truth)))
    found = metrics.compute_metrics(extractor, evaluated, 0)
    named = replace(evaluated.evaluation, classes=[name, "normal"], positive=name)
    drawn = Mock(return_value=(np.linspace(0, 1, 3), np.zeros(3)))
    monkeypatch.setattr(figures, "reliability_curve", drawn)
    data = figures.evaluation_figure(replace(evaluated, evaluation=named), found, "Test set", True)
    assert data.startswith(b"\x89PNG") and len(data) > 50_000
    assert capfd.readouterr().err == "" and drawn.called == curve


def test_cells_of_three_classes_do_not_overlap():
    confusion = np.array([[300, 20, 10], [5, 200, 90], [1, 2, 3]])
    figure = figures.new_figure(11.0, 11.2)
    axes = figure.subplots(2, 2)[0, 0]
    figures.draw_confusion(axes, ["covid", "normal", "bacterial pneumonia of children"], confusion)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts[:2]] == ["300\n91%", "20\n6%"] and len(boxes) == 9
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_experiments_stand_below_the_heading_of_their_group(monkeypatch):
    area = Metric(0.7, 0.6, 0.8, 20, 20)
    experiments = [Result(str(n), f"t{n}", group, "q", area) for n, group in enumerate([SIGNAL, SIGNAL, BASELINES])]
    experiments.append(Result("none", "t", SIGNAL, "q", Metric.unavailable("too few")))
    monkeypatch.setattr(figures, "as_file", lambda figure: figure)
    axes = figures.forest(experiments, Conclusion("mixed", "Both.", ["one"], ["0"], [], "")).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [SIGNAL, "t0\nq", "t1\nq", BASELINES, "t2\nq"]
    said = {round(text.get_position()[1]): text.get_text() for text in axes.texts}
    assert said[1] == said[4] == "0.70 (0.60–0.80)    20 v 20"
    assert figures.forest([], Conclusion("inconclusive", "Too few.", [], [], [], "")).axes
