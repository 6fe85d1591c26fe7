"""Rows of a manifest ↔ files of its folder: by name, or by what a rename leaves of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from detector import counted, first_names
from detector.datasets.manifest import Row
from detector.files.tables import folded, stem

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
    for key, names in listed.items():
        there = waiting.get(key, [])
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
