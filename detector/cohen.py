"""J. P. Cohen's COVID-19 image data collection: its `metadata.csv` of any era, and what findings it names.

Reference: J. P. Cohen, P. Morrison, L. Dao et al., "COVID-19 Image Data Collection: Prospective Predictions Are the
Future", arXiv:2006.11988 (2020).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detector import InputError

METADATA = "metadata.csv"
METADATA_PATH = PurePosixPath(METADATA)
SOURCE = "covid-chestxray-dataset"
# The last commit that changed the collection's README: findings are written as paths by then.
COMMIT = "cec70df07d40383581484c70bb6ada1e6a2fc077"
BASE_URL = f"https://raw.githubusercontent.com/ieee8023/covid-chestxray-dataset/{COMMIT}"

NEEDED = ("patientid", "finding", "view", "filename")
MAX_BYTES = 64 * 2**20  # a hundred times the collection's
# What the collection writes where nobody has said what the finding is.
UNKNOWN_FINDINGS = frozenset({"", "todo", "unknown", "na", "nan", "none"})


@dataclass(frozen=True)
class Entry:
    """A row of the metadata. `line` is the one on which it ends in the file; `cells` has simplified column names."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(simple(column), "")

    @property
    def path(self) -> PurePosixPath:
        """Where the image lies in the clone."""
        return PurePosixPath(self["folder"] or "images", self["filename"])


def simple(text: str) -> str:
    """Return a name without case, spaces and punctuation, which the eras write differently."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def read_metadata(path: Path) -> list[Entry]:
    """Read the `metadata.csv` of a clone.

    Column names are compared without regard to case, spaces and underscores. The text is UTF-8 or UTF-16 with a byte
    order mark, or else Windows' Western encoding, which spreadsheet programs write.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Entry

    Raises
    ------
    InputError
        If the file is missing, is no CSV, has no rows, or lacks a column that is needed.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; clone covid-chestxray-dataset there, or use --download")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file; is {path.parent} a clone of covid-chestxray-dataset?")
        if path.exists() and path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB; the collection's metadata is smaller")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; is {path.parent} a clone of covid-chestxray-dataset?") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    return parse_metadata(data, path)


def parse_metadata(data: bytes, path: Path) -> list[Entry]:
    """Read the bytes of a `metadata.csv`; `path` is what errors call it.

    Raises
    ------
    InputError
    """
    table = csv.reader(io.StringIO(_decode(data), newline=""), strict=True)
    try:
        columns = [simple(name) for name in next(table, [])]
        entries = [
            Entry(table.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name})
            for cells in table
            if any(cells)
        ]
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not CSV ({error})") from None
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; is it the collection's metadata?")
    if not entries:
        raise InputError(f"{path} has a heading but no rows")
    return entries


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def names_finding(text: str, finding: str) -> bool:
    """Tell whether a finding is named at any level.

    ``COVID-19``, ``COVID-19, ARDS`` and ``Pneumonia/Viral/COVID-19`` all name ``COVID-19``; ``Pneumonia/Viral`` is
    named by the last. Case, spaces and hyphens do not count.

    Parameters
    ----------
    text : str
        A cell of the column ``finding``.
    finding : str
        What to look for: a name, or several levels of a path.

    Returns
    -------
    bool
    """
    wanted = [simple(level) for level in finding.split("/")]
    for part in re.split(r"[,;|]", text):
        levels = [simple(level) for level in part.split("/")]
        if any(levels[i : i + len(wanted)] == wanted for i in range(len(levels))):
            return True
    return False


def is_control(text: str, finding: str) -> bool:
    """Tell whether a finding is known and names neither `finding` nor COVID-19."""
    known = simple(text) not in {simple(word) for word in UNKNOWN_FINDINGS}
    return known and not names_finding(text, finding) and not names_finding(text, "COVID-19")
