"""Learning curves and overlays are drawn for every recipe, and without a warning."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from detector.reports import figures

EPOCHS = {"loss": [0.7, 0.5], "accuracy": [0.5, 0.8], "val_loss": [0.7, 0.6], "val_accuracy": [0.4, 0.7]}
STRENGTHS = {"strength": [1e-4, 1e-2, 1.0], "loss": [0.6, 0.3, 0.1], "cv_loss": [0.6, 0.4, 0.5]}
NOTHING = {"strength": [], "loss": [], "cv_loss": []}


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


@pytest.mark.parametrize(("losses", "least"), [([0.7, 0.792], 0.84), ([], 1.0), ([float("nan")], 1.0), ([0.0], 0.5)])
def test_the_loss_axis_leaves_room_above_the_highest_loss(losses, least):
    low, high = figures.loss_range(losses)
    assert low == 0.0 and least <= high <= 2.0
