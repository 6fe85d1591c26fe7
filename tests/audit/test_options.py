"""The flags of an audit, the settings that stand in its JSON file, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit_covid19 import parse_arguments

AUDIT = {
    "recipe": "tutorial",
    "adjust": "auto",
    "class_weight": "balanced",
    "epochs": 25,
    "batch_size": 8,
    "learning_rate": 0.001,
    "rotations": 1,
    "folds": 5,
    "repeats": 3,
    "permuted_labels": 0,
    "pooling": "tutorial",
    "positive_class": "covid",
    "clinical_columns": [],
    "seed": 42,
}
PROBE = {"recipe": "probe", "pooling": "lungs", "rotations": 0}
PROBE |= dict.fromkeys(("epochs", "batch_size", "learning_rate"))


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ("", {}),
        ("--recipe probe --clinical-columns age,sex", PROBE | {"clinical_columns": ["age", "sex"]}),
        (
            "--pooling global --folds 4 --repeats 1 --seed 3 --positive-class c --batch-size 4 --permuted-labels 99",
            {"pooling": "global", "folds": 4, "repeats": 1, "seed": 3, "positive_class": "c", "batch_size": 4}
            | {"permuted_labels": 99},
        ),
    ],
)
def test_the_settings_of_an_audit_are_its_flags_with_their_defaults(arguments, changed):
    assert json.loads(json.dumps(parse_arguments(arguments.split()).settings())) == AUDIT | changed


def test_external_sets_are_as_many_as_are_given():
    assert parse_arguments([]).external is None
    assert parse_arguments(["--external", "x", "--external", "y"]).external == [Path("x"), Path("y")]


def test_the_report_lies_in_the_output_folder_unless_it_is_named():
    written = {"json": Path("a/audit.json"), "figure": Path("a/audit.png")}
    assert parse_arguments(["-o", "a"]).outputs() == written | {"report": Path("a/report.html")}
    assert parse_arguments(["-o", "a", "--report", "r.html"]).outputs() == written | {"report": Path("r.html")}
    assert parse_arguments(["-o", "a", "--no-report"]).outputs() == written
