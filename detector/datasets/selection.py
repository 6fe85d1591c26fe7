"""Which radiographs of a collection go into a class folder, and why the others do not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from detector import InputError, counted
from detector.collections.record import ImageRecord, require_inside
from detector.files.tables import simple
from detector.files.values import is_wanted
from detector.images.listing import why_no_image
from detector.images.read import read

# Returns an entry with what its file's header says, and notes.
Completer = Callable[[ImageRecord], tuple[ImageRecord, list[str]]]
SiteAndName = tuple[str, str]  # site and name without suffix: the same image, whichever collection has it


@dataclass
class Selection:
    """The entries that were kept, and for which reason the others were not (reason → number of rows)."""

    kept: list[ImageRecord] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def without_kept(self) -> Selection:
        """Return the same account of what was dropped, with nothing kept yet."""
        return Selection([], Counter(self.dropped), list(self.named), Counter(self.notes))

    def drop(self, reason: str, detail: str = "") -> None:
        """Count a row under `reason`, and keep a line that names it where there is more to say."""
        self.dropped[reason] += 1
        if detail:
            self.named.append(detail)


def select(entries: Iterable[ImageRecord], wanted: Callable[[str], bool], views: Sequence[str]) -> Selection:
    """Keep the X-rays of some finding and views.

    Parameters
    ----------
    entries : iterable of ImageRecord
    wanted : callable
        Whether to keep a finding.
    views : sequence of str
        Such as ``["PA", "AP"]``, ``["frontal"]``; empty for any.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        If an entry that would be kept names no file, or one outside of the local copy, or another patient's.
    """
    selection = Selection()
    seen: dict[str, set[str]] = {}
    for entry in entries:
        if entry.unknown:
            selection.drop(entry.unknown)
        elif not wanted(entry.finding):
            selection.drop("another finding")
        elif views and not is_wanted(entry.view, views):
            selection.drop("another view")
        elif simple(entry.modality) != "xray":
            selection.drop("another modality")
        elif entry.patient in seen.get(require_inside(entry).name, ()):
            selection.drop("listed twice", f"{entry.path}: listed twice")
        elif entry.path.name in seen and not entry.may_share_file:
            raise InputError(f"{entry.listed}: {entry.path} is listed under two patients; correct or remove one")
        else:
            seen.setdefault(entry.path.name, set()).add(entry.patient)
            selection.kept.append(entry)
    return selection


@dataclass(frozen=True)
class Reader:
    """Reads the images of a local copy of a collection, as far as they are wanted.

    Attributes
    ----------
    local_copy : Path
    failures : mapping of PurePosixPath to str
        Why an image could not be fetched, where it could not.
    completer : callable or None
        Adds what stands in a file's own header.
    views : tuple of str
        Views to keep, looked at once the header is known; empty for any.
    """

    local_copy: Path
    failures: Mapping[PurePosixPath, str]
    completer: Completer | None = None
    views: tuple[str, ...] = ()

    def take(
        self, selection: Selection, candidates: Iterable[ImageRecord], one_per_patient: bool, most: int | None
    ) -> Selection:
        """Keep the candidates whose image is there and can be read, as many as are wanted, and say why not the others.

        Parameters
        ----------
        selection : Selection
            What was dropped before.
        candidates : iterable of ImageRecord
            In the order in which they are looked at.
        one_per_patient : bool
        most : int or None

        Returns
        -------
        Selection

        Raises
        ------
        InputError
            If an image is a symbolic link that leaves the local copy.
        """
        result = selection.without_kept()
        patients: set[str] = set()
        for entry in candidates:
            if most is not None and len(result.kept) >= most:
                result.drop("over the limit")
                continue
            # Without a completer the patient is known already: an image that is not wanted is not read.
            if one_per_patient and entry.patient and entry.patient in patients:
                result.drop("further image of a patient")
                continue
            found = self._read(entry, result)
            if found is None:
                continue
            if one_per_patient and found.patient and found.patient in patients:
                result.drop("further image of a patient")
                continue
            patients |= {found.patient, entry.patient}
            result.kept.append(found)
        if most is not None:
            result.kept.sort(key=lambda entry: entry.path.as_posix())
        return result

    def _read(self, entry: ImageRecord, result: Selection) -> ImageRecord | None:
        """Return an entry with what its header says, if its image is wanted and can be read; else count why not."""
        path = self.local_copy / entry.path
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.local_copy)):
            raise InputError(f"{path} ({entry.listed}) is a link that leaves the collection's folder; remove it")
        if entry.path in self.failures:
            result.drop("image not fetched", f"{entry.path}: {self.failures[entry.path]}")
            return None
        if not path.exists():
            result.drop("image missing", f"{entry.path}: missing")
            return None
        if why_no_image(path):
            result.drop("image unreadable", f"{entry.path}: not an image")
            return None
        try:
            notes: list[str] = []
            if self.completer:
                entry, notes = self.completer(entry)
            if self.views and not is_wanted(entry.view, self.views):
                result.drop("another view")
                return None
            read(path)
        except InputError as error:
            result.drop("image unreadable", str(error))
            return None
        result.notes.update(notes)
        return entry


def leave_out_known(selection: Selection, there: Mapping[SiteAndName, str]) -> Selection:
    """Leave out images that another collection has brought already, such as Cohen's of the Hannover repository's.

    Parameters
    ----------
    selection : Selection
    there : mapping of (site, stem) to str
        The source that brought each image of the class folders.

    Returns
    -------
    Selection
    """
    result = selection.without_kept()
    for entry in selection.kept:
        other = there.get((entry.site, entry.path.stem))
        if other is None or other == entry.source:
            result.kept.append(entry)
        else:
            result.drop(f"there already from {other}")
    return result


def share_sites(selections: Sequence[Selection]) -> list[Selection]:
    """Keep the sites that every one of some selections has images of."""
    shared = set.intersection(*({entry.site for entry in one.kept} for one in selections))
    results = []
    for one in selections:
        result = one.without_kept()
        for entry in one.kept:
            if entry.site in shared:
                result.kept.append(entry)
            else:
                result.drop("site without the other class")
        results.append(result)
    return results


def file_names(entries: Sequence[ImageRecord]) -> list[str]:
    """Return the name that each entry's image gets in the class folder.

    Cohen's collection lists a few images under two patient numbers. Each is kept as it is listed, the later one with
    the patient in its name; that two patients who share an image are one person is for the split to see.
    """
    names: list[str] = []
    taken: set[str] = set()
    for entry in entries:
        name = entry.filename
        if name in taken:
            name = f"{Path(name).stem}-patient{entry.patient}{Path(name).suffix}"
        taken.add(name)
        names.append(name)
    return names


def account(selection: Selection, total: int) -> str:
    """Say how many rows were read, kept and dropped for which reason, and of how many patients the kept images are."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in selection.dropped.items() if count)
    patients = len({entry.patient for entry in selection.kept})
    twice = len(selection.kept) - len({entry.path for entry in selection.kept})
    kept = f"{counted(len(selection.kept), 'image')} of {counted(patients, 'patient')} kept" + (
        f" ({twice} of them listed under two patients)" if twice else ""
    )
    return f"{counted(total, 'row')} read, {kept}, {sum(selection.dropped.values())} dropped" + (
        f" ({reasons})" if reasons else ""
    )
