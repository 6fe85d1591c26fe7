"""The settings that stand in the JSON file of an audit, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import rejection

from audit_covid19 import parse_arguments
from detector.audit.options import AuditOutputs

AUDIT = {
    "recipe": "tutorial",
    "adjust": "auto",
    "class_weight": "balanced",
    "epochs": 25,
    "batch_size": 8,
    "learning_rate": 0.001,
    "rotations": 2,
    "folds": 5,
    "repeats": 3,
    "pooling": "tutorial",
    "positive_class": "covid",
    "clinical_columns": None,
    "seed": 42,
}
PROBE = {"recipe": "probe", "pooling": "lungs"} | dict.fromkeys(("epochs", "batch_size", "learning_rate", "rotations"))


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ("", {}),
        ("--recipe probe --clinical-columns age,sex", PROBE | {"clinical_columns": "age,sex"}),
        (
            "--pooling global --folds 4 --repeats 1 --seed 3 --positive-class c --batch-size 4 --learning-rate 0.01",
            {
                "pooling": "global",
                "folds": 4,
                "repeats": 1,
                "seed": 3,
                "positive_class": "c",
                "batch_size": 4,
                "learning_rate": 0.01,
            },
        ),
    ],
)
def test_the_settings_of_an_audit_are_its_flags_with_their_defaults(arguments, changed):
    assert json.loads(json.dumps(parse_arguments(arguments.split()).settings())) == AUDIT | changed


def test_clinical_columns_are_named_one_by_one():
    assert parse_arguments(["--clinical-columns", "age, sex"]).data.columns == ["age", "sex"]
    assert parse_arguments([]).data.columns == []


def test_the_report_lies_in_the_output_folder_unless_it_is_named():
    assert parse_arguments([]).outputs == AuditOutputs(Path("audit"), Path("audit/report.html"))
    assert parse_arguments(["-o", "a", "--report", "r.html"]).outputs == AuditOutputs(Path("a"), Path("r.html"))
    assert parse_arguments(["--no-report"]).outputs.report is None


def test_an_output_folder_that_is_a_file_is_rejected(tmp_path):
    (tmp_path / "audit").write_text("")
    with rejection("is a file"):
        AuditOutputs(tmp_path / "audit", None).require_writable()
