"""What a model file keeps of its training run is read back, and what is no such record is rejected."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from detector.network.model_file import LONGEST, ClassCount, Description, TrainingSummary
from detector.reports.prediction_report import model_card

COUNTS = (ClassCount("covid", 60, 15), ClassCount("normal", 61, 61))
SUMMARY = TrainingSummary("lesson", "2026-11-25T10:00:00+00:00", COUNTS, "Test set: 24 images", "0.9", ("calibration",))


def description(summary):
    return Description(["covid", "normal"], "covid", "tutorial", "tutorial", summary=summary)


def test_a_summary_is_read_back_from_the_description():
    values = json.loads(json.dumps(asdict(description(SUMMARY))))
    assert Description.from_json(values).summary == SUMMARY
    del values["summary"]  # as an earlier version wrote it
    assert Description.from_json(values).summary is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data_set", 3),
        ("classes", [{"name": "covid", "images": -1, "patients": 1}]),
        ("classes", [{"name": "covid", "images": True, "patients": 1}]),
        ("classes", [{"name": "covid"}]),
        ("warned", ["x"] * 51),
        ("warned", "calibration"),
    ],
)
def test_what_no_training_run_writes_is_rejected(name, value):
    values = json.loads(json.dumps(asdict(SUMMARY))) | {name: value}
    with pytest.raises((TypeError, ValueError, KeyError)):
        TrainingSummary.from_json(values)


def test_long_texts_are_cut():
    values = json.loads(json.dumps(asdict(SUMMARY))) | {"roc_auc": "0" * 10 * LONGEST}
    assert len(TrainingSummary.from_json(values).roc_auc) == LONGEST


def test_the_model_card_has_the_training_run():
    card = dict(model_card(description(SUMMARY), "m.h5"))
    assert card["training data"] == "lesson (covid: 60 images from 15 patients; normal: 61 images from 61 patients)"
    assert card["ROC AUC"] == "0.9"
    assert card["checks that warned"] == "calibration"
    assert "earlier version" in dict(model_card(description(None), "m.h5"))["training run"]
