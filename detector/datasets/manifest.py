"""`manifest.csv` of a class folder: where each image comes from, and which of them a builder put there."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path

from detector import InputError, first_names
from detector.collections.record import CLINICAL
from detector.datasets.clinical import in_years
from detector.files import tables
from detector.files.atomic import require_folder, sha256, write_together

NAME = "manifest.csv"
# Of a manifest that a builder writes; of another, only the first is needed.
COLUMNS = ("file", "label", "patient", "view", "finding", "source", "site", "licence", "url", "sha256")
BOXES = "boxes"  # as `collections.boxes` writes them
KNOWN = {name.lower(): name for name in (*COLUMNS, *CLINICAL, BOXES)}
MOST_NAMES = 10

Row = dict[str, str]


def read(folder: Path) -> dict[str, Row]:
    """Return the manifest of a class folder by file name, empty where there is none.

    Every row has at least the keys of `COLUMNS`; further columns are clinical values.
    """
    path = folder / NAME
    return parse(tables.file_bytes(path), path) if path.exists() else {}


def parse(data: bytes, path: Path) -> dict[str, Row]:
    """Read the bytes of a manifest; `path` is what errors call it."""
    heading, lines = tables.read_cells(data, path)
    columns = [KNOWN.get(name.lower(), name) for name in (tables.unescaped(cell).strip() for cell in heading)]
    while columns and not columns[-1]:  # as spreadsheet programs write columns that were emptied
        columns.pop()
    if "file" not in columns:
        raise InputError(f"{path} has no column file; it has {first_names(columns, MOST_NAMES)}")
    if twice := [name for name, number in Counter(columns).items() if name and number > 1]:
        raise InputError(f"{path} has the column {twice[0]} twice; rename one")
    rows: dict[str, Row] = {}
    for number, given in lines:
        where = f"{path}, line {number}"
        cells = [tables.unescaped(cell) for cell in given]
        if len(cells) < len(columns) or any(cells[len(columns) :]):
            raise InputError(f"{where}: {len(cells)} cells under {len(columns)} headings")
        row = dict.fromkeys(COLUMNS, "") | {name: cell for name, cell in zip(columns, cells, strict=False) if name}
        file = row["file"]
        if file in rows or file in ("", "..") or Path(file).name != file:
            wrong = "listed twice; remove one line" if file in rows else "not a valid file name"
            raise InputError(f"{where}: {file!r} is {wrong}")
        tables.require_whole(row["patient"], "patient", where)
        rows[file] = row
    return rows


def of_files(folder: Path, files: Sequence[str], name: str) -> tuple[dict[str, Row], list[str]]:
    """Return the manifest's row of each image file of a folder, its age in years, and what to say of the others.

    A file that is not there under its name is matched with other letter case or suffix, where that is unambiguous.
    `files` are the names of the images that are there; notes call the folder `name`.
    """
    if not (folder / NAME).exists():
        return {}, []
    listed = {
        file: {column: tables.cleaned(cell) for column, cell in row.items()} for file, row in read(folder).items()
    }
    found = {file: listed[file] for file in files if file in listed}
    others = {file: row for file, row in listed.items() if file not in found}
    renamed, _, notes = tables.match_files(others, (file for file in files if file not in found), f"{name}/{NAME}")
    found, ages = in_years(found | renamed, f"{name}/{NAME}")
    return found, notes + ages


def write(folder: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the manifest of a class folder, sorted by file name, whole or not at all.

    Its cells are untrusted input and are opened in spreadsheet programs: none is left that would be a formula there.
    """
    write_together({folder / NAME: as_file(rows)})


def as_file(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return the bytes of a manifest, which `parse` reads as it was; each column that a row has stands in it."""
    text, listed = io.StringIO(), list(rows)
    columns = dict.fromkeys((*COLUMNS, *(name for row in listed for name in row)))
    table = csv.writer(text)
    table.writerow(map(tables.escaped, columns))
    for row in sorted(listed, key=lambda row: row["file"]):
        table.writerow(tables.escaped(row.get(column, "")) for column in columns)
    return text.getvalue().encode(errors="surrogateescape")


def replace(folder: Path, rows: Sequence[Row], source: str, copy: Callable[[Row, Path], object]) -> list[str]:
    """Make `folder` hold the images of `rows`, in place of those that an earlier build put there from that data set.

    Only a file that the old manifest lists for this source, with the bytes it had then, is replaced or removed;
    whatever else is in the folder is another source's, or a person's, and stays. Where two sources have a file name,
    the source is appended to it. The manifest is written before the images, too, so that a build that is killed leaves
    no image that the next one would not know.

    The rows, with their ``sha256``, are the source's part of the new manifest; `copy` puts the image of one at a path,
    whole or not at all. Returns the files of no source, which stay.
    """
    require_folder(folder)
    everything = read(folder)
    old = {name: row for name, row in everything.items() if row["source"] == source}
    others = {name: row for name, row in everything.items() if name not in old}
    given = {free_name(row["file"], others, source): row for row in rows}
    wanted = {name: row | {"file": name} for name, row in given.items()}
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {NAME, *others}
    digests = {name: sha256(folder / name) for name in present & {*old, *wanted} if (folder / name).is_file()}
    # In the manifest of an unfinished build, a row has the digests of the old image and of the new one.
    ours = {name for name, digest in digests.items() if name in old and digest in old[name]["sha256"].split()}
    same = {name for name, digest in digests.items() if name in wanted and digest == wanted[name]["sha256"]}
    if in_the_way := sorted((present & {*wanted}) - ours - same):
        raise InputError(
            f"{folder} holds {', '.join(in_the_way)}, which no build put there, in the place of an image; move it away"
        )
    begun = {
        name: row | {"sha256": f"{old[name]['sha256']} {row['sha256']}"} for name, row in wanted.items() if name in old
    }
    try:
        write(folder, (others | old | wanted | begun).values())
        for name, row in given.items():
            if name not in same:
                copy(row, folder / name)
        for name in ours - {*wanted}:
            (folder / name).unlink()
        write(folder, (others | wanted).values())
    except (OSError, InputError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            f"{folder} cannot be built: {reason}; it holds images of the last build and of this one, each of them "
            "whole: fix that and build again"
        ) from None
    return sorted(present - ours - {*wanted})


def free_name(name: str, taken: Container[str], owner: str) -> str:
    """Return a name that is not taken: of what is, with its owner before the suffix."""
    while name in taken:
        name = f"{Path(name).stem}-{owner}{Path(name).suffix}"
    return name
