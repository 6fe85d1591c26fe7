"""Clinical values as inputs: encoding, missing values, columns that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import rejection

from detector.datasets import clinical

ROWS = [
    {"age": "30", "sex": "M", "note": "a"},
    {"age": "50", "sex": "f", "note": "b"},
    {"age": "", "sex": "M", "note": "c"},
    {"age": "nan", "sex": "unknown", "note": "d"},
]


def test_encoding_is_fitted_to_training_images_and_marks_missing_values():
    columns = clinical.fit(["age", "sex"], ROWS)
    encoded = clinical.encode(columns, [*ROWS, {"age": "999999", "sex": "other"}])
    assert encoded.shape == (5, 2 + 3)
    assert encoded[:, 0].tolist() == [-1, 1, 0, 0, 5]
    assert encoded[:, 1].tolist() == [0, 0, 1, 1, 0]
    assert encoded[:, 2:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert [clinical.checked(column) for column in json.loads(json.dumps(columns))] == columns


def test_columns_that_cannot_be_used_are_rejected():
    for name, rows, said in (
        ("weight", ROWS, "--clinical-columns weight is no column"),
        ("age", ROWS[2:], "age has no value"),
        ("note", [{"note": f"text {i}"} for i in range(30)], "30 different values"),
    ):
        with rejection(said):
            clinical.fit([name], rows)


def test_missing_values_that_predict_the_class_stop_training():
    labels = np.array([0, 0, 1, 1])
    with rejection(r"age.*ROC AUC 1.00.*--controls-output.*--allow-informative-missingness"):
        clinical.require_no_missing_shortcut(["age"], ROWS, labels)
    clinical.require_no_missing_shortcut(["age"], ROWS, np.array([0, 1, 0, 1]))


COLUMN = [{"name": "age", "mean": 50.0, "deviation": 9.0}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,weight\n", "has no column file, age; it has name, weight"),
        ("file,age,Age\na.png,3,4\n", "has the column age twice; remove one"),
        ("file,age\n1.png,7\n1.png,8\n", "line 3: 1.png has two rows of different values; remove one"),
    ],
)
def test_tables_without_the_values_are_rejected(tmp_path, text, said):
    (tmp_path / "values.csv").write_text(text)
    with rejection(said):
        clinical.read(tmp_path / "values.csv", COLUMN, [])


@pytest.mark.parametrize(
    "text",
    [
        "File;AGE\na/1.png;> 89\nb/1.png;999\n2.JPG;9\n3.png;1\n",
        "file\tage\nx\\a\\1.png\t89\nb\\1.tif\t999\n2\t9\n3\t1\n",
        "Image Index,Patient Age\na/1.png,089Y\nb/1.png,999\n2.png,009Y\n3,1\n",
    ],
)
def test_rows_of_tables_of_any_dialect_belong_to_the_images_that_they_name(tmp_path, text):
    """Two images of one name are distinguished by their folders; what has no partner is named."""
    (tmp_path / "values.csv").write_bytes(text.encode("utf-16"))
    paths = [Path("x/a/1.png"), Path("x/b/1.png"), Path("x/2.png"), Path("x/4.png")]
    found, notes = clinical.read(tmp_path / "values.csv", COLUMN, paths)
    assert [found.get(path) for path in paths] == [{"age": "89"}, {"age": ""}, {"age": "9"}, None]
    start = f"--clinical-csv {tmp_path / 'values.csv'}"
    assert notes[0].startswith(f"{start}: 1 row of other images (3")
    assert notes[1:] == [
        f"{start} has no row of 1 image (x/4.png)",
        f"{start}: 1 age not from 0 to 120 years, taken as missing (999)",
    ]
    assert clinical.read(None, [], paths) == ({}, [])
