"""Tables of collections: columns, sizes and damage."""

from __future__ import annotations

from builder_helpers import clone
from conftest import refusal, refused, script

from detector.collections import (
    actualmed,
)
from detector.collections import csv_table as tables


def test_a_table_that_is_too_large_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    clone(tmp_path, "metadata.csv", "patientid,finding\n")
    with refusal("more than"):
        tables.read_table(tmp_path / "metadata.csv", actualmed.NEEDED, actualmed.SOURCE)


def test_missing_and_repeated_columns_are_named(tmp_path):
    for name, text, said in (
        ("actualmed", "patientid,view,imagename\n1,PA,a.png\n", "no column finding"),
        ("figure1", "patientid,view\n1,PA\n", "no column finding"),
        ("hannover", "image_id,admission_offset,projection\na,1,pa\n", "no column patient_id"),
        ("twice", "patientid,finding,view,imagename,View\n1,x,PA,a.png,AP\n", "the column view twice"),
    ):
        clone(tmp_path / name, "data.csv" if name == "hannover" else "metadata.csv", text)
        refused(script("build_covid_dataset.py", "-c", name, "-o", "out", cwd=tmp_path), said)
    clone(tmp_path / "nih", "Data_Entry_2017.csv", "Image Index,Patient ID\na.png,1\n")
    refused(script("sample_kaggle_dataset.py", "-k", "nih", cwd=tmp_path), "no column Finding Labels")
    clone(tmp_path / "rsna", "stage_2_detailed_class_info.csv", "patientId,label\na,1\n")
    refused(script("sample_kaggle_dataset.py", "-k", "rsna", cwd=tmp_path), "no column class")
    assert not (tmp_path / "out").exists()
