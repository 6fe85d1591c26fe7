"""File names of a table ↔ files: as they are, without letter case, without suffix, with or without folders."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath


def folded(name: str) -> str:
    """Return a name without letter case, its accents composed: some systems store them apart."""
    return unicodedata.normalize("NFC", name).casefold()


def stem(name: str) -> str:
    """Return a name, or a path, without letter case and without its suffix."""
    path = PurePosixPath(folded(name))
    return path.with_suffix("").as_posix() if path.name else ""


REDUCTIONS: tuple[Callable[[str], str], ...] = (str, folded, stem)


class FileNames:
    """Files that a table may name.

    Parameters
    ----------
    files : iterable of str
        Paths with forward slashes.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._ends: list[dict[str, list[str]]] = []
        paths = list(dict.fromkeys(files))
        for reduced in REDUCTIONS:
            ends = defaultdict(list)
            for path in paths:
                for end in _ends(path):
                    ends[reduced(end)].append(path)
            self._ends.append(ends)

    def named(self, name: str) -> list[str]:
        """Return the files that a table's name fits best.

        A name as it is fits better than one in other letter case, and that better than one with another suffix; among
        these, the more of the path agrees, the better.

        Parameters
        ----------
        name : str
            A file name, or a path of any length.

        Returns
        -------
        list of str
            Several where the name is ambiguous; empty where it fits none.
        """
        for reduced, ends in zip(REDUCTIONS, self._ends, strict=True):
            for end in _ends(name):
                if found := ends.get(reduced(end)):
                    return found
        return []


def _ends(path: str) -> list[str]:
    """Return the ends of a path, the longest first: ``a/b/1.png``, ``b/1.png``, ``1.png``."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    return ["/".join(parts[start:]) for start in range(len(parts))]
