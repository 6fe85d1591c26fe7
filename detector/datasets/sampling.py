"""A random sample of a collection, the same on every machine, of which nothing else is read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector import InputError, counted
from detector.cli.output import progress
from detector.collections.record import ImageRecord, manifest_row, require_inside
from detector.files.values import is_adult, is_wanted
from detector.images.read import name_all, read


@dataclass
class Sample:
    """The entries drawn, and why others could not be taken (reason → number).

    Where view and age stand in a table, every entry is counted; where in each file's own header, those that were looked
    at before enough were found.
    """

    drawn: list[ImageRecord] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Draw:
    """What is drawn.

    Attributes
    ----------
    number : int
        How many images.
    seed : int
    one_per_patient : bool
        Draw a single image of each patient.
    views : sequence of str
        Take these only, where any are given.
    adults : bool
        Take patients of 18 years and over only; those of unknown age are left out.
    """

    number: int
    seed: int
    one_per_patient: bool = True
    views: Sequence[str] = ()
    adults: bool = False


@dataclass(frozen=True)
class SampleOptions:
    """All that a sample was asked for.

    Attributes
    ----------
    kaggle : Path or None
        Unpacked data set; None for Kermany's, through kagglehub.
    output : Path
        Class folder.
    finding, split : str
        That are sampled from.
    draw : Draw
    quiet : bool
    """

    kaggle: Path | None
    output: Path
    finding: str
    split: str
    draw: Draw
    quiet: bool


def draw(
    entries: Sequence[ImageRecord], wanted: Draw, complete: Callable[[ImageRecord], ImageRecord] | None = None
) -> Sample:
    """Draw images at random.

    Each image is ranked by a hash of the seed and its name, so that the sample depends neither on the order in which a
    file system lists them nor on the version of a random generator.

    Parameters
    ----------
    entries : sequence of ImageRecord
    wanted : Draw
    complete : callable, optional
        Adds what stands in the file's own header; called for no more entries than have to be looked at.

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        If there are fewer.
    """
    sample = Sample()
    patients: set[str] = set()
    if complete is None:
        reasons = [_unwanted(entry, wanted.views, wanted.adults) for entry in entries]
        sample.left_out.update(filter(None, reasons))
        entries = [entry for entry, reason in zip(entries, reasons, strict=True) if not reason]
    for entry in sorted(entries, key=lambda entry: rank(wanted.seed, entry.filename)):
        if len(sample.drawn) == wanted.number:
            break
        if wanted.one_per_patient and entry.patient in patients:
            continue
        require_inside(entry)
        known = entry
        if complete:
            known = complete(entry)
            if reason := _unwanted(known, wanted.views, wanted.adults):
                sample.left_out[reason] += 1
                continue
        patients.add(entry.patient)
        sample.drawn.append(known)
    if len(sample.drawn) < wanted.number:
        more = "; --no-one-per-patient samples several of a patient" if wanted.one_per_patient else ""
        why = "".join(f", {count} {reason}" for reason, count in sample.left_out.items())
        there = counted(len(sample.drawn), "patient" if wanted.one_per_patient else "image")
        verb = "is" if len(sample.drawn) == 1 else "are"
        raise InputError(f"--sample {wanted.number} asks for more than the {there} that {verb} there{why}{more}")
    sample.drawn.sort(key=lambda entry: entry.filename)
    return sample


def rank(seed: int, name: str) -> bytes:
    """Return what an image is ranked by."""
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()


def _unwanted(entry: ImageRecord, views: Sequence[str], adults: bool) -> str:
    if views and not entry.view:
        return "without a view"
    if views and not is_wanted(entry.view, views):
        return "of another view"
    if adults:
        adult = is_adult(entry.clinical.get("age", ""))
        if adult is None:
            return "of unknown age"
        if not adult:
            return "of children"
    return ""


def paths(folder: Path, entries: Iterable[ImageRecord]) -> dict[str, Path]:
    """Return where each entry's image lies, by its name."""
    return {entry.filename: folder / entry.path for entry in entries}


def manifest_rows(
    drawn: Sequence[ImageRecord], images: Mapping[str, Path], label: str, quiet: bool
) -> list[dict[str, str]]:
    """Return the manifest's rows of images, each of which is read.

    Parameters
    ----------
    drawn : sequence of ImageRecord
    images : mapping of str to Path
        By file name.
    label : str
        Their class.
    quiet : bool
        Show no progress.

    Raises
    ------
    InputError
        If images cannot be read; all are named.
    """
    rows, failures = [], []
    for entry in progress(drawn, len(images), "checking images", quiet):
        try:
            rows.append(manifest_row(entry, entry.filename, label, read(images[entry.filename]).digest))
        except InputError as error:
            failures.append(error)
    if failures:
        raise name_all(failures, len(images))
    return rows
