"""Class folders built from a collection: which of its images are kept, and why the others are not.

Both builders are this engine: the tables choose, then the files are read in order, until there are enough.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from detector import InputError, counted, first_names
from detector.cli.output import Log, progress
from detector.collections.cohen import BASE_URL
from detector.collections.record import COVID, Collection, ImageRecord, names_finding, require_inside
from detector.datasets import download, manifest, overview
from detector.datasets.build_options import BuildOptions
from detector.datasets.identity import merged
from detector.datasets.own_folders import read_patients
from detector.files.atomic import copy_whole, require_folder
from detector.files.tables import match_files, simple
from detector.files.values import is_adult, is_wanted, person
from detector.images.read import from_bytes, read

MOST_NAMED = 10  # of the images that are left out
FURTHER = "further image of a patient"


@dataclass
class Selection:
    """The entries that were kept, and for which reason the others were not (reason → number of rows)."""

    kept: list[ImageRecord] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def drop(self, reason: str, detail: str = "") -> None:
        """Count a row under `reason`, and keep a line that names it where there is more to say."""
        self.dropped[reason] += 1
        if detail:
            self.named.append(detail)

    def keep_if(self, wanted: Callable[[ImageRecord], str]) -> None:
        """Drop what is kept and for which `wanted` returns a reason."""
        entries, self.kept = self.kept, []
        for entry in entries:
            if reason := wanted(entry):
                self.drop(reason)
            else:
                self.kept.append(entry)

    def account(self, total: int) -> str:
        """Say how many rows were read, kept, of how many patients, and dropped for which reason."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.dropped.items() if count)
        patients = len({entry.patient for entry in self.kept})
        return (
            f"{counted(total, 'row')} read, {counted(len(self.kept), 'image')} of {counted(patients, 'patient')} kept, "
            f"{sum(self.dropped.values())} dropped{f' ({reasons})' if reasons else ''}"
        )


Chosen = dict[Path, Selection]  # by the class folder that they go to


def build(collection: Collection, folder: Path, options: BuildOptions, log: Log, fetch: bool = False) -> None:
    """Fill class folders with images of a local copy of a collection, and say what was kept.

    Parameters
    ----------
    collection : Collection
    folder : Path
        The local copy.
    options : BuildOptions
    log : Log
    fetch : bool, default=False
        Fetch images that the local copy lacks, from J. P. Cohen's collection.
    """
    if options.adults and collection.are_children:
        raise InputError(f"--adults: all patients of {collection.source} are children; take another data set")
    if options.split and options.split not in collection.parts:
        parts = f"has the parts {', '.join(collection.parts)}" if collection.parts else "is not published in parts"
        raise InputError(f"--split {options.split}: {folder} ({collection.source}) {parts}")
    entries = collection.read(folder, options.split or collection.part)
    log.info(f"{len(entries)} rows in {folder} ({collection.source})")
    for note in collection.notes(folder, entries):
        log.info(note)
    if options.patients:
        who, _, notes = match_files(
            read_patients(options.patients),
            (entry.path.as_posix() for entry in entries),
            f"--patients {options.patients}",
        )
        entries = [replace(entry, patient=who.get(entry.path.as_posix()) or entry.patient) for entry in entries]
        for note in notes:
            log.info(note)
    entries = joined(entries, log)
    chosen = choose(collection, entries, options)
    for output in chosen:
        require_folder(output)
    if fetch:
        paths = [entry.path for one in chosen.values() for entry in one.kept]
        log.info(f"fetching those of {len(paths)} images that {folder} does not hold yet...")
        failures = download.fetch_all(BASE_URL, paths, folder, from_bytes, options.quiet)
        for path, reason in list(failures.items())[:MOST_NAMED]:
            log.info(f"  not fetched: {path}: {reason}")
    there = {
        (row["site"], Path(name).stem): row["source"]
        for output in chosen
        for name, row in manifest.read(output).items()
        if row["site"] and row["source"] != collection.source
    }

    def brought(entry: ImageRecord) -> str:
        """Say so of an image that another collection has brought, such as Cohen's of the Hannover repository's."""
        other = there.get((entry.site, entry.path.stem))
        return f"there already from {other}" if other else ""

    for output, selection in chosen.items():
        selection.keep_if(brought)
        take(collection, folder, output, selection, options)
    if options.shared_sites_only:
        share_sites(chosen)
    require_enough(folder, chosen[options.output], len(entries), options)
    for output, selection in chosen.items():
        write(folder, output, selection, collection, len(entries), log)
    beside = {one for output in chosen for one in output.resolve().parent.iterdir()}
    overview.report(log, overview.of_manifests(sorted(one for one in beside if (one / manifest.NAME).is_file())))
    if collection.remark:
        log.info(collection.remark)


def joined(entries: Sequence[ImageRecord], log: Log) -> list[ImageRecord]:
    """Return the entries with one name for each person: patients for whom the same image is listed are one."""
    who = [person(entry.patient) for entry in entries]
    first: dict[tuple[str, str], int] = {}
    known = [(row, entry) for row, entry in enumerate(entries) if entry.patient and entry.filename]
    names = merged(who, [(first.setdefault((entry.folder, entry.filename), row), row) for row, entry in known])
    written = {name: entry.patient for name, entry in zip(reversed(who), reversed(entries), strict=True)}
    same = {one: f"{written[one]} is {written[name]}" for one, name in zip(who, names, strict=True) if one != name}
    if same:
        log.info(f"patients with an image in common are one: {first_names([*same.values()])}")
    return [replace(entry, patient=written[name]) for entry, name in zip(entries, names, strict=True)]


def choose(collection: Collection, entries: Sequence[ImageRecord], options: BuildOptions) -> Chosen:
    """Choose the images of a finding and, where there is a folder for them, its controls, by what the tables say."""
    finding = collection.words.get(options.finding.lower(), options.finding) or collection.positive
    known = sorted({entry.finding for entry in entries if entry.finding})
    if not any(names_finding(found, finding) for found in (*known, COVID)):
        levels = sorted({level.strip() for found in known for level in re.split(r"[/,;|]", found)} - {""})
        raise InputError(f"--finding {finding}: no image has it. Findings here: {first_names(levels, 20)}")
    positive = collection.positive if names_finding(COVID, finding) else finding

    chosen = {options.output: select(collection, entries, lambda found: names_finding(found, positive), options)}
    if options.controls_output:
        controls = chosen[options.controls_output] = select(
            collection, entries, lambda found: collection.is_control(found, positive), options
        )
        both = {entry.path for entry in chosen[options.output].kept} & {entry.path for entry in controls.kept}
        for one in chosen.values():
            one.keep_if(lambda entry: "listed with two findings" if entry.path in both else "")
    if options.shared_sites_only:
        share_sites(chosen)
    return chosen


def select(
    collection: Collection, entries: Iterable[ImageRecord], wanted: Callable[[str], bool], options: BuildOptions
) -> Selection:
    """Keep the X-rays of some finding, and of the views and ages asked for, as far as the tables say."""
    selection = Selection()
    seen: set[PurePosixPath] = set()
    for entry in entries:
        if entry.unknown:
            selection.drop(entry.unknown)
        elif not wanted(entry.finding):
            selection.drop("another finding")
        elif reason := _unwanted(entry, collection, options, not collection.reads_headers):
            selection.drop(reason)
        elif simple(entry.modality) != "xray":
            selection.drop("another modality")
        elif require_inside(entry) in seen:
            selection.drop("listed twice", f"{entry.path}: listed twice")
        else:
            seen.add(entry.path)
            selection.kept.append(entry)
    return selection


def _unwanted(entry: ImageRecord, collection: Collection, options: BuildOptions, known: bool) -> str:
    """Return why an image's view or age is not wanted; `known` says that no header is to be read any more."""
    views = options.view or collection.views
    if views and (known or entry.view) and not is_wanted(entry.view, views):
        return "another view" if entry.view else "view unknown"
    adult = is_adult(entry.clinical.get("age", ""))
    if options.adults and not adult and (known or adult is not None):
        return "age unknown" if adult is None else "a child"
    return ""


def take(collection: Collection, folder: Path, output: Path, selection: Selection, options: BuildOptions) -> None:
    """Keep what can be read of a selection, as many images as are wanted; none is opened that is not looked at."""
    candidates, selection.kept = selection.kept, []
    if options.limit is not None:
        candidates = sorted(candidates, key=options.rank)
    one = collection.one_per_patient if options.one_per_patient is None else options.one_per_patient
    patients: set[str] = set()
    for entry in progress(candidates, len(candidates), f"checking images for {output}", options.quiet):
        if options.limit is not None and len(selection.kept) >= options.limit:
            selection.drop("over the limit")
        elif one and entry.patient in patients:  # as the tables know it: such an image is not read
            selection.drop(FURTHER)
        elif found := _read(collection, folder, entry, options, selection):
            if one and found.patient in patients:
                selection.drop(FURTHER)
            else:
                selection.kept.append(found)
                patients |= {entry.patient, found.patient} - {""}
    selection.kept.sort(key=lambda entry: entry.path.as_posix())


def _read(
    collection: Collection, folder: Path, entry: ImageRecord, options: BuildOptions, selection: Selection
) -> ImageRecord | None:
    """Return an entry with what its file says; None where it is not wanted or cannot be read, which is counted."""
    path = folder / entry.path
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path} ({entry.listed}) is a link that leaves the collection's folder; remove it")
    if not path.exists():
        selection.drop("image missing", f"{entry.path}: missing")
        return None
    try:
        found = collection.complete(folder, entry)
        if reason := _unwanted(found, collection, options, True):
            selection.drop(reason)
            return None
        return replace(found, sha256=read(path).digest)
    except InputError as error:
        selection.drop("image unreadable", str(error))
        return None


def share_sites(chosen: Chosen) -> None:
    """Keep the sites that have images for every folder."""
    shared = set.intersection(*({entry.site for entry in one.kept} for one in chosen.values()))
    for one in chosen.values():
        one.keep_if(lambda entry: "" if entry.site in shared else "site without the other class")


def require_enough(folder: Path, selection: Selection, total: int, options: BuildOptions) -> None:
    """Reject a class folder without an image, or a sample with fewer images than asked for."""
    account = selection.account(total)
    if options.exact and options.limit and len(selection.kept) < options.limit:
        more = "; --no-one-per-patient keeps several of a patient" if selection.dropped[FURTHER] else ""
        raise InputError(f"--sample {options.limit}: {folder} has too few images: {account}{more}")
    if not selection.kept:
        raise InputError(f"{folder}: no image is left for {options.output}: {account}")


def write(folder: Path, output: Path, selection: Selection, collection: Collection, total: int, log: Log) -> None:
    """Copy a selection's images into their class folder, and say what was kept and why others were not."""
    sources, rows = dict[str, Path](), []
    for entry in selection.kept:
        name = manifest.free_name(entry.filename, sources, f"patient{entry.patient}")
        sources[name] = folder / entry.path
        rows.append(collection.manifest_row(entry, name, output.name))
    others = manifest.replace(
        output, rows, collection.source, lambda row, target: copy_whole(sources[row["file"]], target)
    )
    log.info(f"{output}: {selection.account(total)}")
    for line in selection.named[:MOST_NAMED]:
        log.info(f"  left out: {line}")
    if (more := len(selection.named) - MOST_NAMED) > 0:
        log.info(f"  and {more} more")
    if others:
        log.info(f"  left unchanged, since no build put it there: {', '.join(others)}")
