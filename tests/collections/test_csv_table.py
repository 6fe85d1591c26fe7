"""Tables of collections: columns, sizes and damage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from builder_helpers import collection
from conftest import inside, rejected, rejection

from detector.collections import actualmed
from detector.files import tables


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
        rejected(inside("build_covid_dataset.py", "-c", name, "-o", "out", cwd=tmp_path), said)
    collection(tmp_path / "nih", "Data_Entry_2017.csv", "Image Index,Patient ID\na.png,1\n")
    rejected(inside("sample_kaggle_dataset.py", "-k", "nih", cwd=tmp_path), "no column Finding Labels")
    collection(tmp_path / "rsna", "stage_2_detailed_class_info.csv", "patientId,label\na,1\n")
    rejected(inside("sample_kaggle_dataset.py", "-k", "rsna", cwd=tmp_path), "no column class")
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


def test_a_table_in_a_merge_conflict_is_named(tmp_path):
    """Marks within the table and before its heading; a line of a text that looks like one mark is none."""
    head, ours, theirs = "patientid,finding,view,imagename\n", "1,x,PA,a.png\n", "2,x,PA,a.png\n"
    for text in (
        f"{head}<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> main\n",
        f"<<<<<<< HEAD\r\n{head}=======\n{head}>>>>>>> 1f2e3d4\n{ours}",
    ):
        collection(tmp_path / "c", "metadata.csv", text)
        assert {"patientid", "imagename"} <= tables.columns_of(tmp_path / "c" / "metadata.csv")
        with rejection("metadata.csv has the marks of a merge conflict; resolve it with git, or get the table again"):
            tables.read_table(tmp_path / "c" / "metadata.csv", actualmed.NEEDED, actualmed.SOURCE)
    text = f'{head}1,"x\n=======\n>>>>>>> y",PA,a.png\n'
    (row,) = tables.parse_table(text.encode(), Path("t.csv"), actualmed.NEEDED, "it")
    assert row["view"] == "PA"


def test_an_optional_column_that_stands_twice_is_read_where_its_values_agree():
    data = b"file,Age,age,sex,Sex,note,note\na,5,5,F,M,x,y\nb,,7,F,,x,x\n"
    first, second = tables.parse_table(data, Path("t.csv"), ["file"], "it")
    assert (first["age"], second["age"], second["sex"]) == ("5", "7", "F")
    with rejection("t.csv, line 2: the column sex stands twice, with different values; remove one"):
        first["sex"]


@pytest.mark.parametrize(
    "cell", ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NV", "#BEZUG!", "Err:502", "#####"]
)
def test_an_error_of_a_spreadsheet_is_no_value(cell):
    (row,) = tables.parse_table(f"file,patientid\na,{cell}\n".encode(), Path("t.csv"), ["file"], "it")
    assert row["file"] == "a"
    with rejection(f"t.csv, line 2: patientid is {re.escape(cell)}, an error of a spreadsheet program; correct it"):
        row["patientid"]


@pytest.mark.parametrize("cell", ["1.2E+05", "1,2E+05", "9E+15", "1.23457e+11"])
def test_a_shortened_number_is_no_patient(cell):
    (row,) = tables.parse_table(f"file;patient id;size\na;{cell};{cell}\n".encode(), Path("t.csv"), ["file"], "it")
    assert row["size"] == cell
    with rejection("t.csv, line 2: patient_id is .*, a number that a spreadsheet program has shortened"):
        row["patient_id"]


@pytest.mark.parametrize("cell", ["#7", "1E5", "2E-05", "12", "P#1", "# 3", "1.2.840"])
def test_other_identifiers_are_patients(cell):
    (row,) = tables.parse_table(f"file,patient\na,{cell}\n".encode(), Path("t.csv"), ["file"], "it")
    assert row["patient"] == cell
