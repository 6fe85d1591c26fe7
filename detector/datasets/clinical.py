"""Clinical columns of the manifest → numbers that join the features of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector import InputError, counted, first_names
from detector.files.tables import FileNames, is_error, read_cells, require_value, unescaped
from detector.files.values import number

# What the collections write where a value is not known.
MISSING = frozenset({"", "na", "n/a", "nan", "none", "unknown", "unclear"})
MOST_CATEGORIES = 20
MISSINGNESS_AUC = 0.6

Rows = dict[str, dict[str, str]]
Column = dict[str, Any]  # JSON-ready: name, and mean and deviation of numbers or the categories


def is_missing(value: str) -> bool:
    """Return whether a cell holds no value."""
    return value.strip().lower() in MISSING


def fit(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[Column]:
    """Learn how to encode columns, from training patients only.

    A column whose known values are all numbers is standardised; any other is a set of categories.

    Parameters
    ----------
    names : sequence of str
    rows : sequence of mapping
        The manifest's rows of training images.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        If a column is in no row, or holds no value, or too many different ones.
    """
    columns: list[Column] = []
    for name in names:
        if not any(name in row for row in rows):
            known = sorted({key for row in rows for key in row})
            raise InputError(
                f"--clinical-columns {name} is no column of the manifests; they have {', '.join(known) or 'none'}"
            )
        values = [row[name].strip() for row in rows if not is_missing(row.get(name, ""))]
        if wrong := next(filter(is_error, values), ""):
            raise InputError(
                f"--clinical-columns {name} has {wrong}, an error of a spreadsheet program; correct it, or leave the "
                "cell empty if the value is not known"
            )
        numbers = [found for value in values if (found := number(value)) is not None]
        categories = sorted({value.lower() for value in values})
        if not values:
            raise InputError(f"--clinical-columns {name} has no value in any training image; leave it out")
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
    return 1 + (len(column["categories"]) if "categories" in column else 1)


def encode(columns: Sequence[Column], rows: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Encode clinical values.

    A missing number is the training mean, a missing category none of them; a number of its own says that it is missing.
    A category that training never saw counts as missing.

    Parameters
    ----------
    columns : list of dict
        As `fit` returns it.
    rows : sequence of mapping

    Returns
    -------
    ndarray of shape (n, inputs), float32
    """
    encoded = np.zeros((len(rows), sum(map(width, columns))), np.float32)
    for i, row in enumerate(rows):
        at = 0
        for column in columns:
            value = row.get(column["name"], "").strip()
            if "categories" in column:
                known = value.lower() in column["categories"]
                if known:
                    encoded[i, at + column["categories"].index(value.lower())] = 1.0
            else:
                found = None if is_missing(value) else number(value)
                known = found is not None
                if found is not None:
                    # A typing error of thousands must not drown everything else.
                    encoded[i, at] = np.clip((found - column["mean"]) / column["deviation"], -5, 5)
            at += width(column)
            encoded[i, at - 1] = not known
    return encoded


def missing_flags(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Return which values are missing, shape (n, columns), bool."""
    return np.array([[is_missing(row.get(name, "")) for name in names] for row in rows], bool)


def require_no_missing_shortcut(names: Sequence[str], rows: Sequence[Mapping[str, str]], labels: np.ndarray) -> None:
    """Reject clinical columns whose missingness alone predicts the class.

    Parameters
    ----------
    names : sequence of str
    rows : sequence of mapping
    labels : ndarray of shape (n,), int

    Raises
    ------
    InputError
        If, for any class, being missing ranks its images above or below the others with a ROC AUC over 0.6.
    """
    from detector.statistics.auc import auc

    flags = missing_flags(names, rows).astype(float)
    for i, name in enumerate(names):
        for label in np.unique(labels):
            area = float(auc(flags[labels == label, i], flags[labels != label, i]))
            if max(area, 1.0 - area) > MISSINGNESS_AUC:
                raise InputError(
                    f"--clinical-columns {name}: whether the value is missing predicts the class by itself (ROC AUC "
                    f"{max(area, 1.0 - area):.2f}), so the model would learn the site; use controls of the same site "
                    "(build_covid_dataset.py --controls-output), or --allow-informative-missingness"
                )


def checked(column: object) -> Column:
    """Return a column of a model file's description, if it is one.

    Raises
    ------
    TypeError, ValueError, KeyError
    """
    if not isinstance(column, dict) or not isinstance(column["name"], str):
        raise TypeError("clinical column")
    if "categories" in column:
        categories = column["categories"]
        if not isinstance(categories, list) or not 1 <= len(categories) <= MOST_CATEGORIES:
            raise ValueError("categories")
        if not all(isinstance(category, str) for category in categories):
            raise TypeError("categories")
        return {"name": column["name"], "categories": categories}
    mean, deviation = float(column["mean"]), float(column["deviation"])
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise ValueError("mean or deviation")
    return {"name": column["name"], "mean": mean, "deviation": deviation}


def read(path: Path | None, columns: Sequence[Column]) -> Rows:
    """Read the clinical values that a model wants.

    Parameters
    ----------
    path : Path or None
    columns : list of dict
        As the model has them; empty where it wants none.

    Returns
    -------
    dict of str to dict
        The row of each image, by what the table has in its column ``file``.

    Raises
    ------
    InputError
        If the model wants values and there is no file, or the file lacks a column; or if it wants none and gets some.
    """
    names = [str(column["name"]) for column in columns]
    if path is None:
        if names:
            raise InputError(
                f"this model was trained with clinical values: give a CSV file with the columns file, "
                f"{', '.join(names)} as --clinical-csv (an empty cell is a value that is not known)"
            )
        return {}
    if not names:
        raise InputError(f"--clinical-csv {path}: this model was trained without clinical values; leave it out")
    if not path.is_file():
        raise InputError(f"--clinical-csv {path} is not a file")
    try:
        return parse(path.read_bytes(), path, names)
    except OSError as error:
        raise InputError(f"--clinical-csv {path} cannot be read: {error.strerror or error}") from None


def parse(data: bytes, path: Path, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read the columns `names` of a table's bytes, by the file names in its column ``file``.

    Raises
    ------
    InputError
    """
    heading, lines = read_cells(data, f"--clinical-csv {path}")
    columns = [unescaped(name).strip() for name in heading]
    folded = [name.casefold() for name in columns]
    missing = [name for name in ("file", *names) if name.casefold() not in folded]
    if missing:
        raise InputError(f"--clinical-csv {path} has no column {', '.join(missing)}")
    if twice := [name for name in ("file", *names) if folded.count(name.casefold()) > 1]:
        raise InputError(f"--clinical-csv {path} has the column {', '.join(twice)} twice; remove one")
    at = {name: folded.index(name.casefold()) for name in ("file", *names)}
    found: Rows = {}
    for line, cells in lines:
        row = {name: unescaped(cells[i]) if i < len(cells) else "" for name, i in at.items()}
        values = {name: require_value(row[name], name, f"--clinical-csv {path}, line {line}") for name in names}
        if found.setdefault(file := row["file"].strip().replace("\\", "/"), values) != values:
            raise InputError(f"--clinical-csv {path}, line {line}: {file} has two rows of different values; remove one")
    return found


def of_images(rows: Rows, paths: Sequence[Path], table: Path | None) -> tuple[dict[Path, dict[str, str]], list[str]]:
    """Return the clinical values of each image, and what to say of rows and images that do not go together.

    Parameters
    ----------
    rows : dict of str to dict
        As `read` returns them.
    paths : sequence of Path
        Of the images. One without a row is not among the keys: all its values are missing.
    table : Path or None
        What notes and errors call the table.

    Returns
    -------
    values : dict of Path to dict
    notes : list of str

    Raises
    ------
    InputError
        If a row names several images, or an image has two rows of different values.
    """
    by_text = {path.as_posix(): path for path in paths}
    names, found, unused = FileNames(by_text), dict[Path, dict[str, str]](), []
    for name, values in rows.items():
        fitting = names.named(name)
        if len(fitting) > 1:
            raise InputError(f"--clinical-csv {table} names {name}, which is {first_names(fitting)}; give the path")
        if not fitting:
            unused.append(name)
        elif found.setdefault(by_text[fitting[0]], values) != values:
            raise InputError(f"--clinical-csv {table} has two rows of different values for {fitting[0]}; remove one")
    notes = []
    if unused:
        notes.append(f"--clinical-csv {table}: {counted(len(unused), 'row')} of other images ({first_names(unused)})")
    if rows and (without := [str(path) for path in paths if path not in found]):
        count = counted(len(without), "image")
        notes.append(f"--clinical-csv {table} has no row of {count} ({first_names(without)}); values count as missing")
    return found, notes
