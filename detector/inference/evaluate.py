"""Predictions that another program made, from its table: probabilities or decisions of the images of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from detector import InputError, first_names
from detector.files.tables import (
    FILE,
    FileNames,
    file_bytes,
    folded,
    match_files,
    read_cells,
    row_of,
    simple,
    unescaped,
)
from detector.files.values import DECIMAL_COMMA, number

DECISION = ("prediction", "predicted", "predictedclass")
THRESHOLD = "threshold"
ROUNDED = 1e-6  # by which a probability of 1 may exceed it
OFF = 0.01  # by which rounded probabilities of an image may miss a sum of 1


@dataclass(frozen=True)
class TableOfPredictions:
    """The predictions of some images, in their order.

    Attributes
    ----------
    files : list of str
        The images that have a prediction.
    probabilities : ndarray of shape (n, classes)
        In the order of the classes; nan where the table has decisions only.
    decisions : ndarray of shape (n,), int, or None
        Classes, where the table names them.
    threshold : float or None
        What the table says that decisions were made by.
    unused : list of str
        Rows of other images.
    """

    files: list[str]
    probabilities: np.ndarray
    decisions: np.ndarray | None
    threshold: float | None
    unused: list[str]
    notes: list[str]


def read_predictions(
    path: Path, files: Sequence[str], classes: Sequence[str], flag: str, logits: bool = False, mean: bool = False
) -> TableOfPredictions:
    """Read the predictions of images from a table.

    Parameters
    ----------
    path : Path
        CSV of a column ``file`` (or as `detector.files.tables.FILE` has it), and a column ``p(CLASS)`` or ``CLASS`` for
        each class, or for one of two; or a column ``prediction`` of class names.
    files : sequence of str
        The images, with forward slashes.
    flag : str
        That named the table, for errors.
    logits : bool
        The numbers are logits, not probabilities.
    mean : bool
        Average several predictions of an image.
    """
    name = f"{flag} {path}"
    heading, lines = read_cells(file_bytes(path, name), name)
    columns = [simple(unescaped(cell)) for cell in heading]
    file = next((one for one in FILE if one in columns), "")
    if not file:
        raise InputError(f"{name} has no column file; it has {first_names(heading, 20)}")
    of_class = _columns_of_classes(heading, classes, name)
    decided = next((one for one in DECISION if one in columns), "")
    if not of_class and not decided:
        raise InputError(
            f"{name} has no predictions: name a column p({classes[0]}) for probabilities, or prediction for classes; "
            f"it has {first_names(heading, 20)}"
        )
    wanted = [file, *(simple(column) for column in of_class.values()), *([decided] if decided else [])]
    if twice := next((column for column in wanted if columns.count(column) > 1), ""):
        raise InputError(f"{name} has the column {heading[columns.index(twice)]} twice; remove one")

    rows: dict[str, list[tuple[list[float], str, str]]] = {}
    for line, cells in lines:
        if [simple(unescaped(cell)) for cell in cells] == columns:
            raise InputError(f"{name}, line {line} is the heading again; are these two tables? give one at a time")
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise InputError(
                f"{name}, line {line} has more cells than the heading; write decimal points, or separate columns by "
                "semicolons"
            )
        row = row_of(columns, [unescaped(cell) for cell in cells], line, name)
        values = [_value(row.cells.get(simple(of_class[one]), ""), of_class[one], row.where) for one in of_class]
        rows.setdefault(row[file].replace("\\", "/"), []).append(
            (values, row.cells.get(decided, ""), row.cells.get(THRESHOLD, ""))
        )
    rows.pop("", None)
    if not rows:
        raise InputError(f"{name} has a heading but no rows")
    names, labels = FileNames(files), {folded(one) for one in classes}
    elsewhere = [one for one in rows if _in_another_class(one, names.named(one), labels)]
    found, unused, notes = match_files({one: rows[one] for one in rows if one not in elsewhere}, files, name)
    unused += elsewhere
    if not found:
        raise InputError(f"{name} names none of the images, but {first_names(unused)}; is it of another folder?")
    several = [one for one, own in found.items() if len(own) > 1]
    if several and not (mean and of_class):
        raise InputError(
            f"{name} has several predictions of {first_names(several)}; "
            + ("--mean averages them" if of_class else "classes cannot be averaged: give one row an image")
        )
    ordered = [one for one in files if one in found]
    raw = [np.array([values for values, _, _ in found[one]]) for one in ordered]
    probabilities = np.full((len(ordered), len(classes)), np.nan)
    if of_class:
        _require_probabilities(raw, of_class, name, logits)
        probabilities[:] = [_probabilities(one, of_class, classes, logits).mean(axis=0) for one in raw]
        sums = probabilities.sum(axis=1)
        if len(wrong := np.flatnonzero(np.abs(sums - 1) > OFF)):
            raise InputError(
                f"{name}: the probabilities of {ordered[wrong[0]]} add up to {sums[wrong[0]]:.3g}, not 1 (of "
                f"{len(wrong)} of {len(sums)} images); give those of all classes, or of two classes one column alone"
            )
    decisions = None
    if decided:
        decisions = _decisions([found[one][0][1] for one in ordered], classes, name, optional=bool(of_class))
    given = {text for one in ordered for _, _, text in found[one]}
    threshold = number(given.pop()) if len(given) == 1 and of_class else None
    return TableOfPredictions(ordered, probabilities, decisions, threshold, unused, notes)


def _columns_of_classes(heading: Sequence[str], classes: Sequence[str], name: str) -> dict[str, str]:
    """Return the heading of each class's column of probabilities, by class."""
    by_name = {folded(one): one for one in classes}
    texts = {folded(unescaped(cell).strip()): cell for cell in heading}
    inner = {text[2:-1]: cell for text, cell in texts.items() if text.startswith("p(") and text.endswith(")")}
    if unknown := [cell.strip() for text, cell in inner.items() if text not in by_name]:
        raise InputError(
            f"{name}: {first_names(unknown)} is of no class of the folder, whose classes are {first_names(classes, 10)}"
        )
    found = {by_name[text]: cell for text, cell in (inner or texts).items() if text in by_name}
    missing = [one for one in classes if one not in found]
    if found and missing and len(classes) > 2:
        raise InputError(
            f"{name} has no probabilities of {first_names(missing)}; give a column for each of three or more"
        )
    return found


def _in_another_class(row: str, files: Sequence[str], labels: set[str]) -> bool:
    """Return whether a path names a class, and the files of its name are of others: 1.png may be in each."""
    said, *there = ({*map(folded, PurePosixPath(one).parent.parts)} & labels for one in (row, *files))
    return bool(said and there) and not any(said & one for one in there)


def _value(cell: str, column: str, where: str) -> float:
    """Return a cell as a number; a comma is a decimal one, for no probability has thousands."""
    found = number(cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell)
    if found is None:
        advice = "give a share from 0 to 1, without the percent sign" if cell.endswith("%") else "give a number"
        raise InputError(f"{where}: {column.strip()} is {cell or 'empty'}; {advice}")
    return found


def _require_probabilities(raw: Sequence[np.ndarray], of_class: Mapping[str, str], name: str, logits: bool) -> None:
    """Reject numbers that are no probabilities: labels, percentages, logits without the flag, and the reverse."""
    values, names = np.concatenate(raw), ", ".join(column.strip() for column in of_class.values())
    if np.isin(values, (0.0, 1.0)).all():
        raise InputError(
            f"{name}: {names} has 0 and 1 only: these are labels, not probabilities; give probabilities, or the names "
            "of classes in a column prediction"
        )
    wrong = next((value for value in (values.min(), values.max()) if not -ROUNDED <= value <= 1 + ROUNDED), None)
    if logits and wrong is None:
        raise InputError(f"{name}: {names} has numbers from 0 to 1 only, as probabilities are; leave --logits out")
    if not logits and wrong is not None:
        raise InputError(
            f"{name}: {names} has {wrong:g}, no probability from 0 to 1; give --logits if these are logits, and divide "
            "percentages by 100"
        )


def _probabilities(values: np.ndarray, of_class: Mapping[str, str], classes: Sequence[str], logits: bool) -> np.ndarray:
    """Return probabilities (rows, classes) from the columns (rows, k) of some classes."""
    from scipy.special import expit, softmax

    if logits:
        values = softmax(values, axis=1) if len(of_class) > 1 else expit(values)
    values = values.clip(0.0, 1.0)
    if len(of_class) == 1:
        values = np.hstack([values, 1.0 - values])
    order = [*of_class, *(one for one in classes if one not in of_class)]
    return values[:, [order.index(one) for one in classes]]


def _decisions(cells: Sequence[str], classes: Sequence[str], name: str, optional: bool) -> np.ndarray | None:
    """Return the classes that cells name; None for other cells where these are `optional`."""
    index = {folded(one): position for position, one in enumerate(classes)}
    if wrong := next((cell for cell in cells if folded(cell) not in index), None):
        if optional:
            return None
        raise InputError(
            f"{name}: prediction is {wrong}, no class of the folder ({first_names(classes, 10)}); name classes there, "
            f"and probabilities in a column p({classes[0]})"
        )
    return np.array([index.get(folded(cell), -1) for cell in cells])
