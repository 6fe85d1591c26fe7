"""`manifest.csv` of a class folder: where each image comes from, and which of them a builder put there."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from detector import InputError, spreadsheet
from detector.files import require_folder, sha256, write_together
from detector.unfinished import alone_in

NAME = "manifest.csv"
COLUMNS = ("file", "label", "patient", "view", "finding", "source", "licence", "url", "sha256")

Row = dict[str, str]


def read(folder: Path) -> dict[str, Row]:
    """Read the manifest of a class folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to dict
        By file name; every row has at least the keys of `COLUMNS`, further columns are clinical values. Empty where
        there is no manifest.

    Raises
    ------
    InputError
        If the file is there but is no manifest.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    if not path.is_file():
        raise InputError(f"{path} is no regular file; move it away")
    try:
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def parse(data: bytes, path: Path) -> dict[str, Row]:
    """Read the bytes of a manifest; `path` is what errors call it.

    Raises
    ------
    InputError
    """
    try:
        table = csv.reader(io.StringIO(data.decode("utf-8-sig", errors="surrogateescape"), newline=""), strict=True)
        columns = [spreadsheet.armed(name) for name in next(table, [])]
        missing = [column for column in COLUMNS if column not in columns]
        if missing:
            raise InputError(f"{path} has no column {', '.join(missing)}; build the folder again or remove the file")
        if len(set(columns)) < len(columns):
            raise InputError(f"{path} has a column twice; build the folder again or remove the file")
        rows: dict[str, Row] = {}
        for cells in filter(None, table):
            if len(cells) != len(columns):
                raise InputError(f"{path}, line {table.line_num}: {len(cells)} cells under {len(columns)} headings")
            row = dict(zip(columns, map(spreadsheet.armed, cells), strict=True))
            if row["file"] in ("", "..", *rows) or Path(row["file"]).name != row["file"]:
                raise InputError(f"{path}, line {table.line_num}: {row['file']!r} is twice there, or no file name")
            rows[row["file"]] = row
        return rows
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not CSV ({error})") from None


def write(folder: Path, rows: Iterable[Mapping[str, str]], extra: Sequence[str] = ()) -> None:
    """Write the manifest of a class folder, sorted by file name, whole or not at all.

    Its cells come from strangers and are opened in spreadsheet programs: none is left that would be a formula there.

    Parameters
    ----------
    folder : Path
    rows : iterable of mapping
        At least the keys of `COLUMNS` each.
    extra : sequence of str
        Further columns, in order.
    """
    text = io.StringIO()
    columns = [*COLUMNS, *extra]
    table = csv.writer(text)
    table.writerow(map(spreadsheet.disarmed, columns))
    for row in sorted(rows, key=lambda row: row["file"]):
        table.writerow(spreadsheet.disarmed(row.get(column, "")) for column in columns)
    write_together({folder / NAME: text.getvalue().encode(errors="surrogateescape")})


def replace(
    folder: Path,
    rows: Sequence[Row],
    copy: Callable[[Row, Path], object],
    extra: Sequence[str] = (),
) -> list[str]:
    """Make `folder` hold the images of `rows`, in place of those that an earlier build put there.

    Only a file that the old manifest lists, with the bytes it had then, is replaced or removed; whatever else is in the
    folder is a person's and stays. The manifest is first written with the old and the new rows, so that a build that is
    killed half-way leaves nothing that the next one would take for a person's.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    rows : sequence of dict
        The new manifest; ``sha256`` filled in.
    copy : callable
        Puts the image of a row at a path, whole or not at all.
    extra : sequence of str
        Columns beyond `COLUMNS`.

    Returns
    -------
    list of str
        The files of others that stay, sorted.

    Raises
    ------
    InputError
        If the folder cannot be written, or a person's file has the name of an image of `rows`; nothing is changed then.
    """
    require_folder(folder)
    # Builds of one folder at the same time wait for each other: it ends as the last one of them wants it.
    with alone_in([folder]):
        return _replace(folder, rows, copy, extra)


def _replace(folder: Path, rows: Sequence[Row], copy: Callable[[Row, Path], object], extra: Sequence[str]) -> list[str]:
    old = read(folder)
    wanted = {row["file"]: row for row in rows}
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {NAME}
    ours = {name for name in present & old.keys() if _is(folder / name, old[name]["sha256"])}
    same = {name for name in present & wanted.keys() if _is(folder / name, wanted[name]["sha256"])}
    in_the_way = sorted((present & wanted.keys()) - ours - same)
    if in_the_way:
        raise InputError(
            f"{folder} holds {', '.join(in_the_way)}, which no build put there, in the place of an image; move it away"
        )
    columns = [*extra, *(name for row in old.values() for name in row if name not in COLUMNS)]
    write(folder, (old | wanted).values(), list(dict.fromkeys(columns)))
    try:
        for name, row in wanted.items():
            if name not in same:
                copy(row, folder / name)
        for name in ours - wanted.keys():
            (folder / name).unlink()
        write(folder, rows, extra)
    except (OSError, InputError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            f"{folder} cannot be built: {reason}; it holds images of the last build and of this one, each of them "
            "whole: mend that and build again"
        ) from None
    return sorted(present - ours - wanted.keys())


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest
