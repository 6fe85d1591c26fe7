"""Clinical values as inputs: encoding, missing values, columns that cannot be used."""

from __future__ import annotations

import json

import numpy as np
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
    with rejection("--clinical-columns weight is no column"):
        clinical.fit(["weight"], ROWS)
    with rejection("age has no value"):
        clinical.fit(["age"], ROWS[2:])
    with rejection("--clinical-columns weight has #DIV/0!, an error of a spreadsheet program; correct it"):
        clinical.fit(["weight"], [{"weight": "70"}, {"weight": "#DIV/0!"}])
    with rejection("30 different values"):
        clinical.fit(["note"], [{"note": f"text {i}"} for i in range(30)])


def test_missing_values_that_predict_the_class_stop_training():
    labels = np.array([0, 0, 1, 1])
    with rejection(r"age.*ROC AUC 1.00.*--controls-output.*--allow-informative-missingness"):
        clinical.require_no_missing_shortcut(["age"], ROWS, labels)
    clinical.require_no_missing_shortcut(["age"], ROWS, np.array([0, 1, 0, 1]))
