"""Clinical values for prediction: a CSV file of the user's, by image."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from detector import InputError
from detector.clinical import Column


def read(path: Path | None, columns: Sequence[Column]) -> dict[str, dict[str, str]]:
    """Read the clinical values that a model wants.

    Parameters
    ----------
    path : Path or None
    columns : list of dict
        As the model has them; empty where it wants none.

    Returns
    -------
    dict of str to dict
        The row of each image, by file name. An image without a row has all its values missing.

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
                f"{', '.join(names)} as --clinical (an empty cell is a value that is not known)"
            )
        return {}
    if not names:
        raise InputError(f"--clinical {path}: this model was trained without clinical values; leave it out")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            missing = [name for name in ("file", *names) if name not in (table.fieldnames or ())]
            if missing:
                raise InputError(f"--clinical {path} has no column {', '.join(missing)}")
            return {Path(row["file"] or "").name: {key: row[key] or "" for key in names} for row in table}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--clinical {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
