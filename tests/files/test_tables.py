"""Tables: columns, encodings, sizes and damage; the files that rows name; cells that are no formula."""

from __future__ import annotations

import re
import unicodedata
from contextlib import nullcontext
from pathlib import Path

import pytest
from conftest import rejection
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.files import tables
from detector.files.tables import FileNames, escaped, stem, unescaped


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patientid,view,imagename\n1,PA,a.png\n", "t.csv has no column finding; it has patientid, view, imagename"),
        ("patientid,finding,view,imagename,View\n1,x,PA,a.png,AP\n", "t.csv has the column view twice"),
        ("patientid,finding,view,imagename\n", "t.csv has a heading but no rows"),
    ],
)
def test_missing_and_repeated_columns_are_named(text, said):
    with rejection(said):
        tables.parse_table(text.encode(), "t.csv", {name: (name,) for name in ("finding", "view", "imagename")})


TABLE = "file{0}patient{0}finding\na.png{0}7{0}Pneumonia\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("before", ["", "\n\n", "{0}{0}\n"])
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
        (b"<table><tr><td>file</td></tr></table>", "is a web page"),
        (b"/annex/objects/SHA256E-s1--00.csv", "is a git-annex pointer, not the file itself; run git annex get"),
        (b'a,b\n"1', "t.csv, line 2: not CSV"),
    ],
)
def test_what_is_in_place_of_a_table_is_named(data, said):
    with rejection(said):
        tables.read_cells(data, Path("t.csv"))


def test_a_table_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("x" * 100)
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    for path, said in (
        (tmp_path / "no.csv", "no.csv: No such file or directory"),
        (tmp_path, ": a folder"),
        (tmp_path / "t.csv", "t.csv: 0 MiB, more than 0"),
    ):
        with rejection(f"--patients .*{said}"):
            tables.file_bytes(path, f"--patients {path}")


def test_of_an_optional_column_that_stands_twice_the_first_value_counts():
    data = b"file,Age,age,sex,Sex,note,note\na,5,5,F,M,x,y\nb,,7,F,,x,x\n"
    first, second = tables.parse_table(data, "t.csv", {"file": ("file",)})
    assert (first["age"], second["age"], first["sex"], second["sex"]) == ("5", "7", "F", "F")


def test_an_error_of_a_spreadsheet_is_no_value():
    cells = ("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NV", "#BEZUG!", "Err:502", "#####")
    text = "file,patient\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate((*cells, " #7", "P#1")))
    rows = tables.parse_table(text.encode(), "t.csv", {"file": ("file",)})
    assert [row["patient"] for row in rows] == [*[""] * len(cells), "#7", "P#1"]


@pytest.mark.parametrize("cell", ["1.2E+05", "1,2E+05", "9E+15", "1.23457e+11", "#7", "1E5", "2E-05", "12", "1.2.840"])
def test_an_identifier_that_a_spreadsheet_has_shortened_is_no_patient(cell):
    (row,) = tables.parse_table(f"file;patient id;n\na;{cell};1E+05\n".encode(), "t.csv", {"file": ("file",)})
    assert (row["file"], row["n"]) == ("a", "1E+05")
    said = "t.csv, line 2: patient_id is .*, a number that a spreadsheet program has shortened"
    with rejection(said) if "+" in cell else nullcontext():
        assert row["patient_id"] == cell


# Columns by file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,patient\na,1\n", "--patients .*t.csv has no column file; it has name, patient"),
        ("file,patient,Patient\na,1,2\n", "t.csv has the column patient twice; remove one"),
        ("file,patient\na,1\na,2\n", "t.csv, line 3: a has two rows of different values; remove one"),
        ("file,patient\n1.png,7\n", "--patients names 1.png, which is a/1.png, b/1.png; give more of its path"),
        ("file,patient\na/1.png,7\na/1,8\n", "--patients has two rows of different values for a/1.png; remove one"),
    ],
)
def test_tables_of_files_that_contradict_themselves_are_rejected(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with rejection(said):
        rows = tables.read_by_file(tmp_path / "t.csv", "--patients", {"patient": tables.PATIENT})
        tables.match_files(rows, ["a/1.png", "b/1.png"], "--patients")


FILES = ["covid/1.png", "covid/B.JPG", "normal/1.png", f"normal/{unicodedata.normalize('NFD', 'Jürgen')}.png"]


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        ("covid/1.png", ["covid/1.png"]),
        ("C:\\data\\covid\\1.png", ["covid/1.png"]),
        ("./covid/1.PNG", ["covid/1.png"]),
        ("covid/1.dcm", ["covid/1.png"]),
        ("1.png", ["covid/1.png", "normal/1.png"]),
        ("b.jpg", ["covid/B.JPG"]),
        ("b.png", ["covid/B.JPG"]),
        ("Jürgen.png", FILES[3:]),
        ("1.2", []),
        ("2.png", []),
        ("", []),
    ],
)
def test_a_name_fits_the_file_that_agrees_most(name, fitting):
    assert FileNames(FILES).named(name) == fitting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=8)), st.text(max_size=8))
def test_any_name_is_looked_up(files, name):
    assert set(FileNames(files).named(name)) <= set(files)
    assert stem(name) == stem(name.upper().lower()) or not name.isascii()


# Formulas


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"'{0,2}[=+\-@\t\r\n].{0,5}", fullmatch=True))
def test_no_cell_is_a_formula_and_none_is_lost(text):
    safe = escaped(text)
    assert unescaped(safe) == text
    assert not safe.startswith(("=", "@", "\t", "\r", "\n"))
    assert not safe.startswith(("+", "-")) or re.fullmatch(r"[+-][0-9.eE+-]+", safe, re.ASCII)


def test_what_is_escaped():
    assert [escaped(text) for text in ("=LINK(1)", "a.png", "-0.5")] == ["'=LINK(1)", "a.png", "-0.5"]
