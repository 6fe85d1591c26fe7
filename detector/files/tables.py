"""Tables: CSV of any encoding that spreadsheet programs write, columns of any spelling, names of files in them."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detector import InputError
from detector.files.recognise import instead, is_in_conflict, wide_encoding

MAX_BYTES = 64 * 2**20  # a hundred times Cohen's metadata, and six times NIH's table of 112,120 images

PATIENT = ("patient", "patientid", "subjectid")  # simplified names of columns with patients


@dataclass(frozen=True)
class Row:
    """A row of a table.

    `line` is the one on which it ends in the file; `cells` has simplified column names; `where` is what errors call it;
    `ambiguous` are the columns that stand twice in the table, with different values in this row.
    """

    line: int
    cells: Mapping[str, str]
    where: str = ""
    ambiguous: frozenset[str] = frozenset()

    def __getitem__(self, column: str) -> str:
        name = simple(column)
        if name in self.ambiguous:
            raise InputError(f"{self.where}: the column {column} stands twice, with different values; remove one")
        return require_value(self.cells.get(name, ""), column, self.where)


def simple(text: str) -> str:
    """Return a name without case, spaces and punctuation, which the eras write differently."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def require_value(cell: str, column: str, where: str) -> str:
    """Return a cell; reject one that is no value, but what a spreadsheet program has made of it.

    Raises
    ------
    InputError
    """
    if is_error(cell):
        raise InputError(
            f"{where}: {column} is {cell.strip()}, an error of a spreadsheet program; correct it, or leave the cell "
            "empty if the value is not known"
        )
    if is_shortened(cell) and simple(column) in PATIENT:
        raise InputError(
            f"{where}: {column} is {cell.strip()}, a number that a spreadsheet program has shortened, so that patients "
            "cannot be kept apart; take the table as it was, and open it with this column as text"
        )
    return cell


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
        raise InputError(f"{path.parent} is not a folder; get {what} with git clone")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file; is {path.parent} a copy of {what}?")
        if path.exists() and path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB; that of {what} is smaller")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; is {path.parent} a copy of {what}?") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    return parse_table(data, path, needed, what)


def parse_table(data: bytes, path: Path, needed: Sequence[str], what: str) -> list[Row]:
    """Read the bytes of a table; `path` is what errors call it.

    Raises
    ------
    InputError
    """
    heading, lines = read_cells(data, path)
    columns = [simple(name) for name in heading]
    rows = [row_of(columns, cells, number, path) for number, cells in lines]
    missing = [name for name in needed if simple(name) not in columns]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; is it the table of {what}?")
    twice = sorted({name for name in map(simple, needed) if columns.count(name) > 1})
    if twice:
        raise InputError(f"{path} has the column {', '.join(twice)} twice; remove one")
    if not rows:
        raise InputError(f"{path} has a heading but no rows")
    return rows


def row_of(columns: Sequence[str], cells: Sequence[str], line: int, what: object) -> Row:
    """Return a row of what `read_cells` has read; `columns` are simplified names, `what` is the table's in errors."""
    found: dict[str, str] = {}
    ambiguous = set()
    for name, cell in zip(columns, map(str.strip, cells), strict=False):
        if name and not found.get(name):
            found[name] = cell
        elif name and cell and found[name] != cell:
            ambiguous.add(name)
    return Row(line, found, f"{what}, line {line}", frozenset(ambiguous))


def read_cells(data: bytes, path: object, errors: str = "cp1252") -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the heading and the rows of a table as spreadsheet programs write it, each row with its last line.

    Parameters
    ----------
    data : bytes
        Commas, semicolons, tabs or upright bars; a first line ``sep=;`` is followed, and blank lines are skipped.
    path : object
        What errors call the table.
    errors : str
        As `decode` has it.

    Raises
    ------
    InputError
        If it is a web page, a Git LFS pointer, a workbook or the like, or no CSV.
    """
    if what := instead(data):
        raise InputError(f"{path} {what}")
    text = decode(data, errors)
    if is_in_conflict(text):
        raise InputError(f"{path} has the marks of a merge conflict; resolve it with git, or get the table again")
    separator, skipped = separator_of(text)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for _ in range(skipped):
            next(table, [])
        heading = next((cells for cells in table if any(cell.strip() for cell in cells)), [])
        return heading, [(table.line_num, cells) for cells in table if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not CSV ({error})") from None


def separator_of(text: str) -> tuple[str, int]:
    """Return what separates the cells of a table, and how many lines stand before its heading.

    The heading has the separator more often than any other that a spreadsheet program writes.
    """
    line = re.split(r"[\r\n]", text.lstrip("\r\n\t ,;|"), maxsplit=1)[0]
    # Saved once more, the line has more separators after it, as all others have.
    if match := re.fullmatch(r'[\s"]*sep\s*=[ "]*([,;\t|])?[\s",;|]*', line, re.IGNORECASE):
        return match[1] or "\t", 1
    outside = re.sub(r'"[^"]*"', "", line)
    return max(",;\t|", key=outside.count), 0


def columns_of(path: Path) -> set[str]:
    """Return the simplified column names of a table; none where it cannot be read.

    Marks of a merge conflict are passed over: `read_cells` names them.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(1 << 16)
        return {simple(name) for name in _heading(head)}
    except (OSError, InputError):
        return set()


def _heading(head: bytes) -> list[str]:
    text = re.sub(r"^[<=>]{7}(?: .*)?$", "", decode(head), flags=re.MULTILINE)
    separator, skipped = separator_of(text)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for _ in range(skipped):
            next(table, [])
        return next((cells for cells in table if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return []


def require_table(path: Path) -> None:
    """Reject a file that has the name of a table but is a web page, a Git LFS pointer, a workbook or the like.

    Raises
    ------
    InputError
    """
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return
    if what := instead(head):
        raise InputError(f"{path} {what}")


def decode(data: bytes, errors: str = "cp1252") -> str:
    """Return the text of a table's bytes: UTF-8, UTF-16, UTF-32, or what `errors` says.

    UTF-16 without a byte order mark is known by the zeros of its first letters.

    Parameters
    ----------
    data : bytes
    errors : {"cp1252", "surrogateescape"}
        How bytes that are not UTF-8 are read: in Windows' Western encoding, or so that they are written as they were.

    Returns
    -------
    str
    """
    if encoding := wide_encoding(data):
        return data.decode(encoding, errors="replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if errors == "surrogateescape":
            return data.decode("utf-8-sig", errors="surrogateescape")
        return data.decode("cp1252", errors="replace")


_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

# Such as #N/A, #REF!, #DIV/0!, #NAME?, in other languages #NV, #BEZUG!, #¿NOMBRE?; Err:502; ### of a narrow column.
_ERROR = re.compile(r"#[¡¿]?[^\W\d_]+(?:/0)?[!?]|#N/[AD]|#NV|#{3,}|Err:\d{3}", re.IGNORECASE)
# As a cell of the format "general" shows a number of more digits than fit: 1.2E+05, with a decimal comma 1,2E+05.
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,3}", re.ASCII | re.IGNORECASE)


def escaped(text: str) -> str:
    """Return a cell with an apostrophe before what would be a formula; a number with a sign is none."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescaped(text: str) -> str:
    """Return what `escaped` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def is_error(text: str) -> bool:
    """Return whether a cell is an error of a formula, such as ``#N/A`` or ``#REF!``."""
    return bool(_ERROR.fullmatch(text.strip()))


def is_shortened(text: str) -> bool:
    """Return whether a cell is a number of which a spreadsheet program kept the first digits, such as ``1.2E+05``."""
    return bool(_SHORTENED.fullmatch(text.strip()))


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
