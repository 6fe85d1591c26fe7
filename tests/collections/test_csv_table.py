"""Tables of collections: columns, sizes and damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder_helpers import collection
from conftest import rejected, rejection, script

from detector.collections import (
    actualmed,
)
from detector.collections import csv_table as tables


def test_a_table_that_is_too_large_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    collection(tmp_path, "metadata.csv", "patientid,finding\n")
    with rejection("more than"):
        tables.read_table(tmp_path / "metadata.csv", actualmed.NEEDED, actualmed.SOURCE)


def test_missing_and_repeated_columns_are_named(tmp_path):
    for name, text, said in (
        ("actualmed", "patientid,view,imagename\n1,PA,a.png\n", "no column finding"),
        ("figure1", "patientid,view\n1,PA\n", "no column finding"),
        ("hannover", "image_id,admission_offset,projection\na,1,pa\n", "no column patient_id"),
        ("twice", "patientid,finding,view,imagename,View\n1,x,PA,a.png,AP\n", "the column view twice"),
    ):
        collection(tmp_path / name, "data.csv" if name == "hannover" else "metadata.csv", text)
        rejected(script("build_covid_dataset.py", "-c", name, "-o", "out", cwd=tmp_path), said)
    collection(tmp_path / "nih", "Data_Entry_2017.csv", "Image Index,Patient ID\na.png,1\n")
    rejected(script("sample_kaggle_dataset.py", "-k", "nih", cwd=tmp_path), "no column Finding Labels")
    collection(tmp_path / "rsna", "stage_2_detailed_class_info.csv", "patientId,label\na,1\n")
    rejected(script("sample_kaggle_dataset.py", "-k", "rsna", cwd=tmp_path), "no column class")
    assert not (tmp_path / "out").exists()


TABLE = "file{0}patient{0}finding\na.png{0}7{0}Pneumonia\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("before", ["", "sep={0}\n", "sep = {0}\n", '"sep={0}"{0}{0}\n', "\n\n", "{0}{0}\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_of_any_encoding_separator_and_line_end_are_read(encoding, separator, before, end):
    text = (before + TABLE).format(separator).replace("\n", end)
    heading, ((_, cells),) = tables.read_cells(text.encode(encoding), "t.csv")
    assert (heading, cells) == (["file", "patient", "finding"], ["a.png", "7", "Pneumonia"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"404: Not Found", "t.csv is an error message of a server, not the file itself; download it again"),
        (b'{"message": "Not Found"}', "is an error message of a server"),
        (b"%PDF-1.4", "is a PDF document; save what it shows as an image, or its table as CSV"),
        ("<!DOCTYPE html>".encode("utf-16"), "is a web page"),
        (b"<table><tr><td>file</td></tr></table>", "is a web page"),
        (b"/annex/objects/SHA256E-s1--00.csv", "is a git-annex pointer, not the file itself; run git annex get"),
    ],
)
def test_what_is_in_place_of_a_table_is_named(data, said):
    with rejection(said):
        tables.read_cells(data, Path("t.csv"))
