"""Clinical values for prediction: a CSV file of the user's, by image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detector import InputError
from detector.collections.csv_table import read_cells
from detector.datasets.clinical import Column
from detector.storage.spreadsheet import unescaped


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
    at = {name: folded.index(name.casefold()) for name in ("file", *names)}
    found = {}
    for _, cells in lines:
        row = {name: unescaped(cells[i]) if i < len(cells) else "" for name, i in at.items()}
        found[Path(row["file"].replace("\\", "/")).name] = {name: row[name] for name in names}
    return found
