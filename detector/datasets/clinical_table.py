"""Clinical values for prediction: a CSV file of the user's, by image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detector import InputError, counted, first_names
from detector.datasets.clinical import Column
from detector.files.tables import FileNames, read_cells, require_value, unescaped

Rows = dict[str, dict[str, str]]


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
    for number, cells in lines:
        row = {name: unescaped(cells[i]) if i < len(cells) else "" for name, i in at.items()}
        values = {name: require_value(row[name], name, f"--clinical-csv {path}, line {number}") for name in names}
        if found.setdefault(file := row["file"].strip().replace("\\", "/"), values) != values:
            raise InputError(
                f"--clinical-csv {path}, line {number}: {file} has two rows of different values; remove one"
            )
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
