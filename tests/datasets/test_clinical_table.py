"""Tables of clinical values: read in any dialect, or rejected."""

from __future__ import annotations

from pathlib import Path

from conftest import refusal

from detector.datasets import clinical_table

COLUMN = [{"name": "age", "mean": 50.0, "deviation": 9.0}]


def test_clinical_values_without_permission_are_named(tmp_path, unreadable):
    (tmp_path / "values.csv").write_text("x")
    with refusal("(?i)values.csv.*permission denied"):
        clinical_table.read(tmp_path / "values.csv", COLUMN)


def test_clinical_values_that_are_a_folder_are_rejected(tmp_path):
    with refusal("not a file"):
        clinical_table.read(tmp_path, COLUMN)


def test_tables_of_any_dialect_are_read_and_others_rejected():
    with refusal("has no column file, age"):
        clinical_table.parse(b"\xff\xfe", Path("values.csv"), ["age"])
    with refusal("--clinical-csv values.csv is a web page"):
        clinical_table.parse(b"<!DOCTYPE html>", Path("values.csv"), ["age"])
    for text in ("File;AGE\nx/a.png;7\n", "sep=\t\nfile\tage\nx\\a.png\t7\n"):
        assert clinical_table.parse(text.encode("utf-16"), Path("values.csv"), ["age"]) == {"a.png": {"age": "7"}}
