"""What the experiments of an audit have in common: images, masks, folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_helpers import Case, audit_of
from conftest import rejection

from audit_covid19 import EXAMPLE
from detector.audit.context import AuditOptions
from detector.cli.arguments import parse
from detector.images.masks import LUNGS_ONLY

EVERYTHING = np.arange(48)


def parse_arguments(arguments):
    return parse(AuditOptions, "", EXAMPLE, arguments)


def test_lungs_are_found_where_no_masks_are_given():
    rows, files, notes = audit_of(Case()).with_lungs(EVERYTHING)
    assert rows.tolist() == EVERYTHING.tolist() and (files, notes) == (None, ())


def test_masks_from_files_are_used_if_both_sides_have_enough():
    audit = audit_of(Case(counts=(24, 24)))
    masked = [Path(f"{label}/{number}.png") for label in ("covid", "normal") for number in range(20)]
    enough = replace(audit, masks={path: Path("masks") / path for path in masked})
    rows, files, notes = enough.with_lungs(EVERYTHING)
    assert len(rows) == 40 and files == enough.masks
    assert notes == ("uses 40 of 48 images: those with a lung mask",)
    few = replace(audit, masks={Path("covid/0.png"): Path("0.png")})
    rows, files, notes = few.with_lungs(EVERYTHING)
    assert len(rows) == 48 and files is None and "too few" in notes[0]


def test_too_few_lungs_are_a_reason():
    with rejection("found in 3 images, too few"):
        audit_of(Case()).compare(np.arange(3), part=LUNGS_ONLY)


@pytest.mark.parametrize(
    ("site", "shared"),
    [
        (lambda positive, number: "a", True),
        (lambda positive, number: "a" if positive else "b", False),
        (lambda positive, number: "", False),
        (lambda positive, number: "a" if positive or number == 0 else "b", False),
    ],
)
def test_whether_classes_share_their_sites(site, shared):
    assert audit_of(Case(site=site)).shares_sites() == shared


# What an audit can be asked for

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


def test_the_report_lies_in_the_output_folder_unless_it_is_named():
    written = {"json": Path("a/audit.json"), "figure": Path("a/audit.png")}
    assert parse_arguments(["-o", "a"]).outputs() == written | {"report": Path("a/report.html")}
    assert parse_arguments(["-o", "a", "--report", "r.html"]).outputs() == written | {"report": Path("r.html")}
    assert parse_arguments(["-o", "a", "--no-report"]).outputs() == written
