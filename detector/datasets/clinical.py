"""Clinical columns of the manifest, or of a table of the user's → numbers that join the features of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector import InputError, counted, first_names
from detector.files.tables import match_files, read_by_file
from detector.files.values import age_cell, number

# What the collections write where a value is not known.
MISSING = frozenset({"", "na", "n/a", "nan", "none", "unknown", "unclear"})
MOST_CATEGORIES = 20
MISSINGNESS_AUC = 0.6
# Other headings of columns in tables that people have.
HEADINGS = {
    "age": ("age", "patientage", "anchorage"),
    "sex": ("sex", "patientsex", "gender", "patientgender", "patientsexdicom"),
}

Rows = dict[str, dict[str, str]]
Column = dict[str, Any]  # JSON-ready: name, and mean and deviation of numbers or the categories


def is_missing(value: str) -> bool:
    """Return whether a cell holds no value."""
    return value.strip().lower() in MISSING


def fit(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[Column]:
    """Learn how to encode columns, from the manifest's rows of training images only.

    A column whose known values are all numbers is standardised; any other is a set of categories.
    """
    columns: list[Column] = []
    for name in names:
        if not any(name in row for row in rows):
            known = sorted({key for row in rows for key in row})
            raise InputError(
                f"--clinical-columns {name} is no column of the manifests; they have {', '.join(known) or 'none'}"
            )
        values = [row[name].strip() for row in rows if not is_missing(row.get(name, ""))]
        if not values:
            raise InputError(f"--clinical-columns {name} has no value in any training image; leave it out")
        numbers = [found for value in values if (found := number(value)) is not None]
        categories = sorted({value.lower() for value in values})
        if len(numbers) == len(values):
            columns.append({"name": name, "mean": float(np.mean(numbers)), "deviation": float(np.std(numbers)) or 1.0})
        elif len(categories) <= MOST_CATEGORIES:
            columns.append({"name": name, "categories": categories})
        else:
            raise InputError(
                f"--clinical-columns {name} has {len(categories)} different values; it is text, not a category"
            )
    return columns


def width(column: Column) -> int:
    """Return how many numbers a column becomes: its value or categories, and whether it is missing."""
    return 1 + len(column.get("categories", ["number"]))


def encode(columns: Sequence[Column], rows: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Encode clinical values as an array of shape (n, inputs), float32.

    A missing number is the training mean, a missing category none of them; a number of its own says that it is missing.
    A category that training never saw counts as missing. What `fit` returned is all that this takes, so that a model
    file holds it as JSON.
    """
    encoded = []
    for column in columns:
        cells = [row.get(column["name"], "").strip().lower() for row in rows]
        if "categories" in column:
            values = np.array(cells, object)[:, None] == np.array(column["categories"], object)
            missing = ~values.any(axis=1)
        else:
            numbers = np.array([number(cell) for cell in cells], float)[:, None]  # None becomes NaN
            missing = np.isnan(numbers[:, 0])
            # A typing error of thousands must not drown everything else.
            values = np.nan_to_num(np.clip((numbers - column["mean"]) / column["deviation"], -5, 5))
        encoded += [values, missing[:, None]]
    return np.hstack([np.zeros((len(rows), 0)), *encoded]).astype(np.float32)


def require_no_missing_shortcut(names: Sequence[str], rows: Sequence[Mapping[str, str]], labels: np.ndarray) -> None:
    """Reject clinical columns whose missingness alone predicts a class, with a ROC AUC over 0.6."""
    for name in names:
        missing = np.array([is_missing(row.get(name, "")) for row in rows], float)
        for label in np.unique(labels):
            # The ROC AUC of a value of two levels.
            area = 0.5 + abs(missing[labels == label].mean() - missing[labels != label].mean()) / 2
            if area > MISSINGNESS_AUC:
                raise InputError(
                    f"--clinical-columns {name}: whether the value is missing predicts the class by itself (ROC AUC "
                    f"{area:.2f}), so the model would learn the site; use controls of the same site "
                    "(build_covid_dataset.py --controls-output), or --allow-informative-missingness"
                )


def checked(column: Column) -> Column:
    """Return a column of a model file's description, if it is one; else raise what its reader catches."""
    if not isinstance(column["name"], str):
        raise TypeError("clinical column")
    if "categories" not in column:
        mean, deviation = float(column["mean"]), float(column["deviation"])
        if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
            raise ValueError("mean or deviation")
        return {"name": column["name"], "mean": mean, "deviation": deviation}
    categories = column["categories"]
    if not 1 <= len(categories) <= MOST_CATEGORIES or not all(isinstance(one, str) for one in categories):
        raise ValueError("categories")
    return {"name": column["name"], "categories": list(categories)}


def read(
    path: Path | None, columns: Sequence[Column], images: Sequence[Path]
) -> tuple[dict[Path, dict[str, str]], list[str]]:
    """Return the values that a model wants of each image, ages in years, from a table of the user's, and notes.

    An image without a row is not among the keys: all its values are missing.
    """
    names = [str(column["name"]) for column in columns]
    if names and not path:
        raise InputError(
            f"this model was trained with clinical values: give a CSV file with the columns file, "
            f"{', '.join(names)} as --clinical-csv (an empty cell is a value that is not known)"
        )
    if path and not names:
        raise InputError(f"--clinical-csv {path}: this model was trained without clinical values; leave it out")
    if not path:
        return {}, []
    rows = read_by_file(path, "--clinical-csv", {name: HEADINGS.get(name, (name,)) for name in names})
    by_text = {image.as_posix(): image for image in images}
    found, _, notes = match_files(rows, by_text, f"--clinical-csv {path}")
    found, ages = in_years(found, f"--clinical-csv {path}")
    return {by_text[text]: row for text, row in found.items()}, notes + ages


def in_years(rows: Rows, table: str) -> tuple[Rows, list[str]]:
    """Return rows with ages in years, empty where a cell is none, and what to say of such cells of a table."""
    ages = [row["age"] for row in rows.values() if not is_missing(row.get("age", ""))]
    notes = []
    if unread := [age for age in ages if not age_cell(age)]:
        what = f"not from 0 to 120 years, taken as missing ({first_names(sorted({*unread}))})"
        notes.append(f"{table}: {counted(len(unread), 'age')} {what}")
    return {name: row | {"age": age_cell(row["age"])} if "age" in row else row for name, row in rows.items()}, notes
