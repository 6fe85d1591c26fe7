"""Tables that collections come with: CSV of any encoding that spreadsheet programs write, columns of any spelling."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import InputError

MAX_BYTES = 64 * 2**20  # a hundred times Cohen's metadata, and six times NIH's table of 112,120 images


@dataclass(frozen=True)
class Row:
    """A row of a table. `line` is the one on which it ends in the file; `cells` has simplified column names."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(simple(column), "")


def simple(text: str) -> str:
    """Return a name without case, spaces and punctuation, which the eras write differently."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def number(value: str) -> float | None:
    """Return a cell as a finite number, or None where it is none."""
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def read_table(path: Path, needed: Sequence[str], what: str) -> list[Row]:
    """Read a table of a collection.

    Column names are compared without regard to case, spaces and underscores. The text is UTF-8 or UTF-16 with a byte
    order mark, or else Windows' Western encoding, which spreadsheet programs write.

    Parameters
    ----------
    path : Path
    needed : sequence of str
        Columns without which it is not this table.
    what : str
        The collection, for errors.

    Returns
    -------
    list of Row

    Raises
    ------
    InputError
        If the file is missing, is no CSV, has no rows, or lacks a column that is needed.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; clone {what} there")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file; is {path.parent} a clone of {what}?")
        if path.exists() and path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB; that of {what} is smaller")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; is {path.parent} a clone of {what}?") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    return parse_table(data, path, needed, what)


def parse_table(data: bytes, path: Path, needed: Sequence[str], what: str) -> list[Row]:
    """Read the bytes of a table; `path` is what errors call it.

    Raises
    ------
    InputError
    """
    table = csv.reader(io.StringIO(decode(data), newline=""), strict=True)
    try:
        columns = [simple(name) for name in next(table, [])]
        rows = [
            Row(table.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name})
            for cells in table
            if any(cells)
        ]
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not CSV ({error})") from None
    missing = [name for name in needed if simple(name) not in columns]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; is it the table of {what}?")
    twice = sorted({name for name in map(simple, needed) if columns.count(name) > 1})
    if twice:
        raise InputError(f"{path} has the column {', '.join(twice)} twice; remove one")
    if not rows:
        raise InputError(f"{path} has a heading but no rows")
    return rows


def columns_of(path: Path) -> set[str]:
    """Return the simplified column names of a table; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return set()
    try:
        return {simple(name) for name in next(csv.reader(io.StringIO(decode(head), newline="")), [])}
    except csv.Error:
        return set()


def decode(data: bytes) -> str:
    """Return the text of a table's bytes."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
