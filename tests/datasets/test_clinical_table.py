"""Tables of clinical values: read in any dialect, or rejected."""

from __future__ import annotations

from pathlib import Path

from conftest import rejection

from detector.datasets import clinical_table

COLUMN = [{"name": "age", "mean": 50.0, "deviation": 9.0}]


def test_clinical_values_without_permission_are_named(tmp_path, unreadable):
    (tmp_path / "values.csv").write_text("x")
    with rejection("(?i)values.csv.*permission denied"):
        clinical_table.read(tmp_path / "values.csv", COLUMN)


def test_clinical_values_that_are_a_folder_are_rejected(tmp_path):
    with rejection("not a file"):
        clinical_table.read(tmp_path, COLUMN)


def test_tables_of_any_dialect_are_read_and_others_rejected():
    with rejection("has no column file, age"):
        clinical_table.parse(b"\xff\xfe", Path("values.csv"), ["age"])
    with rejection("--clinical-csv values.csv is a web page"):
        clinical_table.parse(b"<!DOCTYPE html>", Path("values.csv"), ["age"])
    with rejection("--clinical-csv values.csv has the column age twice; remove one"):
        clinical_table.parse(b"file,age,Age\na.png,3,4\n", Path("values.csv"), ["age"])
    with rejection("--clinical-csv values.csv, line 2: age is #VALUE!, an error of a spreadsheet program"):
        clinical_table.parse(b"file,age\na.png,#VALUE!\n", Path("values.csv"), ["age"])
    for text in ("File;AGE\nx/a.png;7\n", "sep=\t\nfile\tage\nx\\a.png\t7\n"):
        assert clinical_table.parse(text.encode("utf-16"), Path("values.csv"), ["age"]) == {"x/a.png": {"age": "7"}}


TABLE = Path("values.csv")


def test_rows_belong_to_the_images_that_they_name():
    """Two images of one name are distinguished by their folders; what has no partner is named."""
    rows = clinical_table.parse(b"file,age\na/1.png,7\nb/1.png,8\n2.JPG,9\n3.png,1\n", TABLE, ["age"])
    paths = [Path("x/a/1.png"), Path("x/b/1.png"), Path("x/2.png"), Path("x/4.png")]
    found, notes = clinical_table.of_images(rows, paths, TABLE)
    assert [found.get(path) for path in paths] == [{"age": "7"}, {"age": "8"}, {"age": "9"}, None]
    assert notes == [
        "--clinical-csv values.csv: 1 row of other images (3.png)",
        "--clinical-csv values.csv has no row of 1 image (x/4.png); values count as missing",
    ]
    assert clinical_table.of_images({}, paths, None) == ({}, [])


def test_rows_that_contradict_each_other_are_rejected():
    with rejection("values.csv, line 3: 1.png has two rows of different values; remove one"):
        clinical_table.parse(b"file,age\n1.png,7\n1.png,8\n", TABLE, ["age"])
    rows = clinical_table.parse(b"file,age\n1.png,7\n", TABLE, ["age"])
    with rejection("values.csv names 1.png, which is a/1.png, b/1.png; give the path"):
        clinical_table.of_images(rows, [Path("a/1.png"), Path("b/1.png")], TABLE)
    rows = clinical_table.parse(b"file,age\n1.png,7\na/1.png,8\n", TABLE, ["age"])
    with rejection("values.csv has two rows of different values for a/1.png; remove one"):
        clinical_table.of_images(rows, [Path("a/1.png")], TABLE)
