"""`manifest.csv` of a class folder: where each image comes from, and which of them a builder put there."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector import InputError, counted, first_names
from detector.collections.record import CLINICAL
from detector.files import tables
from detector.files.atomic import require_folder, sha256, write_together
from detector.files.cache import Cache, default_folder, key
from detector.files.tables import folded, stem

NAME = "manifest.csv"
NEEDED = ("file", "label", "patient", "view", "finding", "source", "licence", "url", "sha256")
# A manifest of a version without the site is read as if the column were empty.
COLUMNS = (*NEEDED[:6], "site", *NEEDED[6:])
BOXES = "boxes"  # as `collections.boxes` writes them
# Columns with a meaning; any other may be named with --clinical-columns.
USED = (*(name for name in COLUMNS if name not in ("licence", "url", "sha256")), *CLINICAL)
_KNOWN = {name.lower(): name for name in (*COLUMNS, *CLINICAL, BOXES)} | {"origin": "site"}

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
    heading, lines = tables.read_cells(data, path, "surrogateescape")
    columns = [_column(name) for name in heading]
    missing = [column for column in NEEDED if column not in columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; restore its heading, or write the manifest anew with "
            "build_covid_dataset.py"
        )
    # Spreadsheet programs write columns that were emptied.
    unnamed = [i for i, name in enumerate(columns) if not name]
    dropped = {i for i in unnamed if not any(cells[i].strip() for _, cells in lines if i < len(cells))}
    columns = [name for i, name in enumerate(columns) if i not in dropped]
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise InputError(f"{path} has the column {twice or '(without a name)'} twice; rename one")
    rows: dict[str, Row] = {}
    for number, given in lines:
        cells = [tables.unescaped(cell) for i, cell in enumerate(given) if i not in dropped]
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {number}: {len(cells)} cells under {len(columns)} headings")
        row = {"site": ""} | dict(zip(columns, cells, strict=True))
        if row["file"] in rows:
            raise InputError(f"{path}, line {number}: {row['file']!r} is listed twice; remove one line")
        if row["file"] in ("", "..") or Path(row["file"]).name != row["file"]:
            raise InputError(f"{path}, line {number}: {row['file']!r} is not a valid file name")
        where = f"{path}, line {number}"
        for name in USED:
            if cell := row.get(name):
                tables.require_value(cell, name, where)
        rows[row["file"]] = row
    return rows


def _column(name: str) -> str:
    """Return a heading as `COLUMNS` and `CLINICAL` have it, whatever its case; ``origin`` was the site's name once."""
    plain = tables.unescaped(name).strip()
    return _KNOWN.get(plain.lower(), plain)


def write(folder: Path, rows: Iterable[Mapping[str, str]], extra: Sequence[str] = ()) -> None:
    """Write the manifest of a class folder, sorted by file name, whole or not at all.

    Its cells are untrusted input and are opened in spreadsheet programs: none is left that would be a formula there.

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
    table.writerow(map(tables.escaped, columns))
    for row in sorted(rows, key=lambda row: row["file"]):
        table.writerow(tables.escaped(row.get(column, "")) for column in columns)
    return text.getvalue().encode(errors="surrogateescape")


def replace(
    folder: Path,
    rows: Sequence[Row],
    source: str,
    copy: Callable[[Row, Path], object],
    extra: Sequence[str] = (),
) -> list[str]:
    """Make `folder` hold the images of `rows`, in place of those that an earlier build put there from that data set.

    Only a file that the old manifest lists for this source, with the bytes it had then, is replaced or removed, or one
    that a build put there which was killed before it could write its manifest; whatever else is in the folder is
    another source's, or a person's, and stays. Where two sources have a file name, the source is appended to it.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    rows : sequence of dict
        The source's part of the new manifest; ``sha256`` filled in.
    source : str
    copy : callable
        Puts the image of a row at a path, whole or not at all.
    extra : sequence of str
        Columns beyond `COLUMNS`.

    Returns
    -------
    list of str
        The files of no source that stay, sorted.

    Raises
    ------
    InputError
        If the folder cannot be written, or a person's file has the name of an image of `rows`; nothing is changed then.
    """
    require_folder(folder)
    return _replace(folder, rows, source, copy, extra)


def _replace(
    folder: Path, rows: Sequence[Row], source: str, copy: Callable[[Row, Path], object], extra: Sequence[str]
) -> list[str]:
    everything = read(folder)
    old = {name: row for name, row in everything.items() if row["source"] == source}
    others = {name: row for name, row in everything.items() if name not in old}
    given = {_free_name(row["file"], others, source): row for row in rows}
    wanted = {name: row | {"file": name} for name, row in given.items()}
    begun, note = _begun(folder, source)
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {NAME, *others}
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
        for name, row in given.items():
            if name not in same:
                copy(row, folder / name)
        for name in ours - wanted.keys():
            (folder / name).unlink()
        columns = [name for row in everything.values() for name in row if name not in COLUMNS]
        write(folder, [*others.values(), *wanted.values()], list(dict.fromkeys([*columns, *extra])))
        note(set())
    except (OSError, InputError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            f"{folder} cannot be built: {reason}; it holds images of the last build and of this one, each of them "
            "whole: fix that and build again"
        ) from None
    return sorted(present - ours - wanted.keys())


def _free_name(name: str, others: Mapping[str, Row], source: str) -> str:
    """Return a name that no other source's image has."""
    while name in others:
        path = Path(name)
        name = f"{path.stem}-{source}{path.suffix}"
    return name


def _begun(folder: Path, source: str) -> tuple[set[tuple[str, str]], Callable[[set[tuple[str, str]]], None]]:
    """Return the names and digests of the images that a source's unfinished builds have put into a folder, and a note.

    Noted in the user's cache: should a build be killed, the next one knows its images although no manifest lists them.
    """
    cache, name = Cache(default_folder()), key(kind="build", folder=os.path.realpath(folder), source=source)
    held = {tuple(pair) for pair in json.loads(cache.get([name]).get(name, b"[]"))}
    return held, lambda begun: cache.put({name: json.dumps(sorted(begun)).encode()})


MOST_NAMES = 10


@dataclass
class ManifestMatch:
    """Which row each file has.

    Attributes
    ----------
    rows : dict of str to dict
        By the name of the file that is there.
    renamed : list of str
        Files that a row names with other letter case or another suffix.
    without_file, without_row : list of str
        Rows that match no file, and files that no row matches.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    renamed: list[str] = field(default_factory=list)
    without_file: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)


def match(rows: Mapping[str, Row], names: Iterable[str]) -> ManifestMatch:
    """Match the rows of a manifest with the image files of its folder.

    A name that is not there is matched with other letter case, then with another suffix, where that is unambiguous.

    Parameters
    ----------
    rows : mapping of str to dict
        By the file name that the manifest has.
    names : iterable of str
        The files that are there.

    Returns
    -------
    ManifestMatch
    """
    found, files, left = ManifestMatch(), list(names), dict(rows)
    for name in files:
        if name in left:
            found.rows[name] = left.pop(name)
    for reduced in (_last_part, _readable, folded, stem):
        _match_reduced(found, files, left, reduced)
    found.without_file = sorted(left)
    found.without_row = sorted(name for name in files if name not in found.rows)
    return found


def _match_reduced(
    found: ManifestMatch, files: Iterable[str], left: dict[str, Row], reduced: Callable[[str], str]
) -> None:
    waiting, listed = defaultdict(list), defaultdict(list)
    for name in files:
        waiting[reduced(name)].append(name)
    for name in left:
        listed[reduced(name)].append(name)
    for short, names in listed.items():
        there = waiting.get(short, [])
        if len(names) == 1 and len(there) == 1 and there[0] not in found.rows:
            found.rows[there[0]] = left.pop(names[0])
            found.renamed.append(there[0])


def _last_part(name: str) -> str:
    """Return a name without the folders of a Windows path, and without spaces around it."""
    return name.rpartition("\\")[2].strip()


def _readable(name: str) -> str:
    """Return a name of which bytes are not UTF-8 as Windows' Western encoding reads it."""
    return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace") if not name.isprintable() else name


def notes(folder: str, found: ManifestMatch) -> list[str]:
    """Say what of a manifest and its folder does not go together, one line each."""
    said = []
    if found.renamed:
        some = first_names(sorted(found.renamed), MOST_NAMES)
        said.append(
            f"{folder}/manifest.csv: {counted(len(found.renamed), 'row')} matched with another suffix, letter case or "
            f"encoding ({some})"
        )
    if found.without_file:
        some = first_names(found.without_file, MOST_NAMES)
        count = len(found.without_file)
        said.append(
            f"{folder}/manifest.csv: {counted(count, 'row')} {'names' if count == 1 else 'name'} no file ({some})"
        )
    if found.without_row:
        some = first_names(found.without_row, MOST_NAMES)
        count = len(found.without_row)
        said.append(
            f"{folder}/manifest.csv: {counted(count, 'image')} {'has' if count == 1 else 'have'} no row ({some}); "
            "patient, site and view are not known"
        )
    return said
