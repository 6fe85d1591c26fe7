"""Which radiographs of J. P. Cohen's collection go into a class folder, and why the others do not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from detector import InputError
from detector.cohen import METADATA, SOURCE, Entry, simple
from detector.radiographs import SUFFIXES, read

# Clinical columns that the manifest carries over, under the names of the late format.
CLINICAL = (
    "offset",
    "sex",
    "age",
    "survival",
    "intubated",
    "went_icu",
    "needed_supplemental_O2",
    "temperature",
    "pO2_saturation",
    "leukocyte_count",
    "neutrophil_count",
    "lymphocyte_count",
)


@dataclass
class Selection:
    """The entries that were kept, and for which reason the others were not (reason → number of rows)."""

    kept: list[Entry] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def without_kept(self) -> Selection:
        """Return the same account of what was dropped, with nothing kept yet."""
        return Selection([], Counter(self.dropped), list(self.named))

    def drop(self, entry: Entry, reason: str, detail: str = "") -> None:
        """Count `entry` under `reason`, and keep a line that names it where there is more to say."""
        self.dropped[reason] += 1
        if detail:
            self.named.append(detail)


def select(entries: Iterable[Entry], wanted: Callable[[str], bool], views: Sequence[str]) -> Selection:
    """Keep the X-rays of some finding and views.

    A file of the first eras has no column ``modality``; there a frontal view is an X-ray, and CT is told by the view.

    Parameters
    ----------
    entries : iterable of Entry
    wanted : callable
        Whether to keep a finding.
    views : sequence of str
        Such as ``["PA", "AP"]``.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        If an entry that would be kept names no file, or one outside of the clone.
    """
    selection = Selection()
    simple_views = {simple(view) for view in views}
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        if not wanted(entry["finding"]):
            selection.drop(entry, "another finding")
        elif simple(entry["view"]) not in simple_views:
            selection.drop(entry, "another view")
        elif "modality" in entry.cells and simple(entry["modality"]) != "xray":
            selection.drop(entry, "another modality")
        elif (require_inside(entry).name, entry["patientid"]) in seen:
            selection.drop(entry, "listed twice", f"{entry.path}: listed twice")
        else:
            seen.add((entry.path.name, entry["patientid"]))
            selection.kept.append(entry)
    return selection


def require_inside(entry: Entry) -> PurePosixPath:
    """Return an entry's path; refuse one that could lead out of the clone or is not a plain name.

    Raises
    ------
    InputError
    """
    text = f"{entry['folder']}/{entry['filename']}"
    windows = PureWindowsPath(text)
    name = entry["filename"]
    if (
        not name
        or PurePosixPath(name).name != name
        or PureWindowsPath(name).name != name
        or name.startswith(".")
        or ".." in windows.parts
        or PurePosixPath(entry["folder"]).is_absolute()
        or windows.drive
        or not text.isprintable()
    ):
        raise InputError(
            f"{METADATA}, line {entry.line}: {text!r} is no file inside of the clone; correct or remove it"
        )
    return entry.path


def keep_readable(
    clone: Path, selection: Selection, failures: Mapping[PurePosixPath, str], entries: Iterable[Entry] | None = None
) -> Selection:
    """Keep the entries whose image is there and can be read.

    Parameters
    ----------
    clone : Path
    selection : Selection
    failures : mapping of PurePosixPath to str
        Why an image could not be fetched, where it could not.
    entries : iterable of Entry, optional
        The same entries as ``selection.kept``, wrapped to show progress.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        If an image is a symbolic link that leaves the clone.
    """
    root = Path(os.path.realpath(clone))
    result = selection.without_kept()
    for entry in selection.kept if entries is None else entries:
        path = clone / entry.path
        if not Path(os.path.realpath(path)).is_relative_to(root):
            raise InputError(f"{path} (line {entry.line} of {METADATA}) is a link that leaves the clone; remove it")
        if entry.path in failures:
            result.drop(entry, "image not fetched", f"{entry.path}: {failures[entry.path]}")
        elif not path.exists():
            result.drop(entry, "image missing", f"{entry.path}: missing")
        elif path.suffix.lower() not in SUFFIXES:
            result.drop(entry, "image unreadable", f"{entry.path}: not the name of an image")
        else:
            try:
                read(path)
                result.kept.append(entry)
            except InputError as error:
                result.drop(entry, "image unreadable", str(error))
    return result


def limit(selection: Selection, one_per_patient: bool = False, most: int | None = None) -> Selection:
    """Keep a patient's first image only, or the first `most` images."""
    result = selection.without_kept()
    patients: set[str] = set()
    for entry in selection.kept:
        if one_per_patient and entry["patientid"] in patients:
            result.drop(entry, "a patient's further image")
        elif most is not None and len(result.kept) >= most:
            result.drop(entry, "over the limit")
        else:
            patients.add(entry["patientid"])
            result.kept.append(entry)
    return result


def file_names(entries: Sequence[Entry]) -> list[str]:
    """Return the name that each entry's image gets in the class folder.

    The collection lists a few images under two patient numbers. Each is kept as it is listed, the later one with the
    patient in its name; that two patients who share an image are one person is for the split to see.
    """
    names: list[str] = []
    for entry in entries:
        name = entry["filename"]
        names.append(name if name not in names else f"{Path(name).stem}-patient{entry['patientid']}{Path(name).suffix}")
    return names


def manifest_row(entry: Entry, name: str, label: str, digest: str) -> dict[str, str]:
    """Return the manifest's row of an entry; an entry without a patient number is a patient of its own."""
    row = {
        "file": name,
        "label": label,
        "patient": entry["patientid"] or f"unnumbered-{name}",
        "view": entry["view"],
        "finding": entry["finding"],
        "source": SOURCE,
        "licence": entry["license"],
        "url": entry["url"],
        "sha256": digest,
    }
    return row | {column: entry[column] for column in CLINICAL}


def account(selection: Selection, total: int) -> str:
    """Say how many rows were read, kept and dropped for which reason, and of how many patients the kept images are."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in selection.dropped.items() if count)
    patients = len({entry["patientid"] for entry in selection.kept})
    twice = len(selection.kept) - len({entry.path for entry in selection.kept})
    kept = f"{len(selection.kept)} images of {patients} patients kept" + (
        f" ({twice} of them listed under two patients)" if twice else ""
    )
    return f"{total} rows read, {kept}, {sum(selection.dropped.values())} dropped" + (
        f" ({reasons})" if reasons else ""
    )
