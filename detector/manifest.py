"""`manifest.csv` of a class folder: where each image comes from, and which of them a builder put there."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from detector import InputError, spreadsheet
from detector.cache import Cache, default_folder, key
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
    write_together({folder / NAME: as_file(rows, extra)})


def as_file(rows: Iterable[Mapping[str, str]], extra: Sequence[str] = ()) -> bytes:
    """Return the bytes of a manifest, which `parse` reads as it was."""
    text = io.StringIO()
    columns = [*COLUMNS, *extra]
    table = csv.writer(text)
    table.writerow(map(spreadsheet.disarmed, columns))
    for row in sorted(rows, key=lambda row: row["file"]):
        table.writerow(spreadsheet.disarmed(row.get(column, "")) for column in columns)
    return text.getvalue().encode(errors="surrogateescape")


def replace(
    folder: Path,
    rows: Sequence[Row],
    copy: Callable[[Row, Path], object],
    extra: Sequence[str] = (),
) -> list[str]:
    """Make `folder` hold the images of `rows`, in place of those that an earlier build put there.

    Only a file that the old manifest lists, with the bytes it had then, is replaced or removed, or one that a build put
    there which was killed before it could write its manifest; whatever else is in the folder is a person's and stays.

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
    old, wanted = read(folder), {row["file"]: row for row in rows}
    begun, note = _begun(folder)
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {NAME}
    listed = {(name, row["sha256"]) for name, row in old.items()} | begun
    names = present & {name for name, _ in listed}.union(wanted)
    found = {(name, sha256(folder / name)) for name in names if (folder / name).is_file()}
    ours = {name for name, _ in found & listed}
    same = {name for name, digest in found if name in wanted and digest == wanted[name]["sha256"]}
    in_the_way = sorted((present & wanted.keys()) - ours - same)
    if in_the_way:
        raise InputError(
            f"{folder} holds {', '.join(in_the_way)}, which no build put there, in the place of an image; move it away"
        )
    note(begun | {(name, row["sha256"]) for name, row in wanted.items()})
    try:
        for name, row in wanted.items():
            if name not in same:
                copy(row, folder / name)
        for name in ours - wanted.keys():
            (folder / name).unlink()
        write(folder, rows, extra)
        note(set())
    except (OSError, InputError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            f"{folder} cannot be built: {reason}; it holds images of the last build and of this one, each of them "
            "whole: mend that and build again"
        ) from None
    return sorted(present - ours - wanted.keys())


def _begun(folder: Path) -> tuple[set[tuple[str, str]], Callable[[set[tuple[str, str]]], None]]:
    """Return the names and digests of the images that unfinished builds have put into a folder, and how to note them.

    Noted in the user's cache: should a build be killed, the next one knows its images although no manifest lists them.
    """
    cache, name = Cache(default_folder()), key(kind="build", folder=os.path.realpath(folder))
    held = {tuple(pair) for pair in json.loads(cache.get([name]).get(name, b"[]"))}
    return held, lambda begun: cache.put({name: json.dumps(sorted(begun)).encode()})
