"""Tables of any encoding and separator that spreadsheet programs write, and the files that their rows name.

Reference for cells that a spreadsheet program would take for a formula: OWASP, "CSV injection".
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from detector import InputError, counted, first_names
from detector.files.recognise import UTF_16, bounded_bytes, instead

MAX_BYTES = 64 * 2**20  # a hundred times Cohen's metadata, and six times NIH's table of 112,120 images
HEAD_BYTES = 2**16

# Columns of the image and of the patient in the tables that people have, simplified, the surest first.
FILE = (
    *("file", "filename", "filepath", "path", "image", "imagename", "imagefile", "imageindex", "imageid", "imagepath"),
    *("dicomid", "sopinstanceuid", "patientid"),  # RSNA's patientId is a file, too
)
PATIENT = ("patient", "patientid", "patientidentifier", "subject", "subjectid", "studyinstanceuid", "studyid")

# Suffixes that are no part of a name: the last part of a UID stays.
SUFFIX = re.compile(r"\.(?:png|jpe?g|jpe|jfif|bmp|tiff?|webp|gif|jp2|dcm|dicom|dic|ima|nii(?:\.gz)?)$", re.IGNORECASE)

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
# Such as #N/A, #REF!, #DIV/0!, #NAME?, in other languages #NV, #BEZUG!, #¿NOMBRE?; Err:502; ### of a narrow column.
ERROR = re.compile(r"#[¡¿]?[^\W\d_]+(?:/0)?[!?]|#N/[AD]|#NV|#{3,}|Err:\d{3}", re.IGNORECASE)
# As a cell of the format "general" shows a number of more digits than fit: 1.2E+05, with a decimal comma 1,2E+05.
SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,3}", re.ASCII | re.IGNORECASE)

Values = TypeVar("Values")


@dataclass(frozen=True)
class Row:
    """A row of a table; `cells` has simplified column names, `where` is what errors call it."""

    cells: dict[str, str]
    where: str

    def __getitem__(self, column: str) -> str:
        found = self.cells.get(simple(column), "")
        return require_whole(found, column, self.where) if simple(column) in PATIENT else found


def simple(text: str) -> str:
    """Return a name without case, spaces and punctuation, which tables write differently."""
    return re.sub(r"[\W_]", "", text.casefold())


def cleaned(cell: str) -> str:
    """Return a cell without spaces around it; empty where it is an error of a formula, such as ``#N/A``."""
    return "" if ERROR.fullmatch(cell.strip()) else cell.strip()


def require_whole(patient: str, column: str, where: str) -> str:
    """Return a patient's identifier; reject one of which a spreadsheet program has left the first digits only."""
    if SHORTENED.fullmatch(patient.strip()):
        raise InputError(
            f"{where}: {column} is {patient.strip()}, a number that a spreadsheet program has shortened, so that "
            "patients cannot be told apart; take the table as it was, and open it with this column as text"
        )
    return patient


def escaped(text: str) -> str:
    """Return a cell with an apostrophe before what would be a formula; a number with a sign is none."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unescaped(text: str) -> str:
    """Return what `escaped` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def file_bytes(path: Path, name: object = None) -> bytes:
    """Return the bytes of a table's file; `name` is what errors call it, such as ``--patients a.csv``."""
    return bounded_bytes(path, MAX_BYTES, name)


def read_table(path: Path, needed: Sequence[str]) -> list[Row]:
    """Read a table of a collection which has the columns `needed`."""
    return parse_table(file_bytes(path), path, {name: (name,) for name in needed})


def parse_table(data: bytes, path: object, needed: Mapping[str, Sequence[str]]) -> list[Row]:
    """Read the bytes of a table; `path` is what errors call it.

    `needed` has the names under which each column that is needed may stand in the heading, the surest first; a row has
    the cell by its key, too. Names are compared without case, spaces and punctuation.
    """
    heading, lines = read_cells(data, path)
    there = [simple(unescaped(name)) for name in heading]
    at = {key: next((one for one in map(simple, names) if one in there), "") for key, names in needed.items()}
    if missing := [key for key, column in at.items() if not column]:
        raise InputError(f"{path} has no column {', '.join(missing)}; it has {first_names(heading, 20)}")
    if twice := [key for key, column in at.items() if there.count(column) > 1]:
        raise InputError(f"{path} has the column {', '.join(twice)} twice; remove one")
    if not lines:
        raise InputError(f"{path} has a heading but no rows")
    rows = [row_of(there, [unescaped(cell) for cell in cells], number, path) for number, cells in lines]
    renamed = {simple(key): column for key, column in at.items() if column != simple(key)}
    for row in rows:
        row.cells.update({key: row[column] for key, column in renamed.items()})
    return rows


def row_of(columns: Sequence[str], cells: Sequence[str], line: int, what: object) -> Row:
    """Return a row of what `read_cells` has read; `columns` are simplified names, `what` is the table's in errors.

    Of columns of the same name the first that has a value counts.
    """
    found: dict[str, str] = {}
    for name, cell in zip(columns, cells, strict=False):
        found[name] = found.get(name) or cleaned(cell)
    return Row(found, f"{what}, line {line}")


def read_cells(data: bytes, path: object) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the heading and the rows of a table as spreadsheet programs write it, each row with its last line.

    Commas, semicolons, tabs or upright bars; blank lines are skipped. `path` is what errors call the table.
    """
    lines = _lines(require_text(data, path), path)
    heading = next(lines, (0, []))[1]
    return heading, list(lines)


def require_text(data: bytes, path: object) -> str:
    """Return the text of a table: UTF-8, UTF-16, or Windows' Western encoding; reject what is no table."""
    if what := instead(data):
        raise InputError(f"{path} {what}")
    try:
        return data.decode("utf-16" if data.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _lines(text: str, path: object) -> Iterator[tuple[int, list[str]]]:
    first = re.split(r"[\r\n]", text.lstrip("\r\n\t ,;|"), maxsplit=1)[0]
    # The heading has the separator more often than any other that a spreadsheet program writes.
    separator = max(",;\t|", key=re.sub(r'"[^"]*"', "", first).count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in table:
            if any(cell.strip() for cell in cells):
                yield table.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not CSV ({error})") from None


def head_of(path: Path) -> str:
    """Return the beginning of a table's text; reject what is none, as `require_text` does."""
    with open(path, "rb") as file:
        return require_text(file.read(HEAD_BYTES), path)


def columns_of(path: Path) -> set[str]:
    """Return the simplified column names of a table; none where it cannot be read."""
    try:
        return {simple(name) for name in next(_lines(head_of(path), path), (0, []))[1]}
    except (OSError, InputError):
        return set()


def read_by_file(path: Path, flag: str, columns: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Read columns of a user's table, which `flag` named: file as the table has it → column → cell.

    `columns` has the names under which each column that is needed may stand in the heading; `PATIENT`, for one.
    """
    name = f"{flag} {path}"
    found: dict[str, dict[str, str]] = {}
    for row in parse_table(file_bytes(path, name), name, {"file": FILE, **columns}):
        file = row["file"].replace("\\", "/")
        values = {key: row[key] for key in columns}
        if file and found.setdefault(file, values) != values:
            raise InputError(f"{row.where}: {file} has two rows of different values; remove one")
    return found


def match_files(
    rows: Mapping[str, Values], files: Iterable[str], flag: str
) -> tuple[dict[str, Values], list[str], list[str]]:
    """Match the rows of a user's table, by file as the table has it, with paths with forward slashes.

    Returns path → the value of its row, rows of other files, and notes that count these and files without a row; `flag`
    named the table, for errors.
    """
    here = list(dict.fromkeys(files))
    names, found, unused = FileNames(here), dict[str, Values](), []
    for name, values in rows.items():
        fitting = names.named(name)
        if len(fitting) > 1:
            raise InputError(f"{flag} names {name}, which is {first_names(fitting)}; give more of its path")
        if not fitting:
            unused.append(name)
        elif found.setdefault(fitting[0], values) != values:
            raise InputError(f"{flag} has two rows of different values for {fitting[0]}; remove one")
    notes = [f"{flag}: {counted(len(unused), 'row')} of other images ({first_names(unused)})"] if unused else []
    if without := [name for name in here if name not in found]:
        notes.append(f"{flag} has no row of {counted(len(without), 'image')} ({first_names(without)})")
    return found, unused, notes


def folded(name: str) -> str:
    """Return a name without letter case, its accents composed: some systems store them apart."""
    return unicodedata.normalize("NFC", name).casefold()


def stem(name: str) -> str:
    """Return a name, or a path, without letter case and without the suffix of an image."""
    return SUFFIX.sub("", folded(name))


REDUCTIONS: tuple[Callable[[str], str], ...] = (str, folded, stem)


class FileNames:
    """Files that a table may name: paths with forward slashes."""

    def __init__(self, files: Iterable[str]) -> None:
        self._ends: list[dict[str, list[str]]] = [defaultdict(list) for _ in REDUCTIONS]
        for path, end in [(one, end) for one in dict.fromkeys(files) for end in _ends(one)]:
            for reduced, ends in zip(REDUCTIONS, self._ends, strict=True):
                ends[reduced(end)].append(path)

    def named(self, name: str) -> list[str]:
        """Return the files that a table's name, or path of any length, fits best; several where it is ambiguous.

        A name as it is fits better than one in other letter case, and that better than one with another suffix; among
        these, the more of the path agrees, the better.
        """
        reduced = ((ends, how(end)) for how, ends in zip(REDUCTIONS, self._ends, strict=True) for end in _ends(name))
        return next((ends[end] for ends, end in reduced if end in ends), [])


def _ends(path: str) -> list[str]:
    """Return the ends of a path, the longest first: ``a/b/1.png``, ``b/1.png``, ``1.png``."""
    parts = [part for part in PurePosixPath(path.replace("\\", "/")).parts if part != "/"]
    return ["/".join(parts[start:]) for start in range(len(parts))]
