"""Class folders built from a collection, or described as they are: which images are kept, and what manifests say.

Both builders are this engine: the tables choose, then the files are read in order, until there are enough.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from detector import InputError, counted, first_names
from detector.cli.arguments import CommonOptions, flag, seed_flag, whole_number
from detector.cli.output import Log, progress
from detector.collections.catalogue import SOURCES
from detector.collections.cohen import BASE_URL
from detector.collections.record import COVID, Collection, ImageRecord, names_finding, require_inside
from detector.datasets import download, manifest, overview
from detector.datasets.clinical import is_missing
from detector.datasets.dataset import PATIENT_FROM, Image, list_classes, patient_pattern
from detector.datasets.identity import merged
from detector.files.atomic import require_folder, sha256, write_together
from detector.files.tables import PATIENT, match_files, read_by_file, simple
from detector.files.values import is_adult, is_wanted, person
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.read import from_bytes, read

MOST_NAMED = 10  # of the images that are left out
FURTHER = "further image of a patient"


@dataclass(frozen=True)
class BuildOptions(CommonOptions):
    """What a build is asked for; what is not given is as the collection needs."""

    exact: ClassVar[bool] = False  # whether fewer images than the limit are an error

    output: Path = flag("outputs", Path("dataset/covid"), "class folder", "-o", metavar="DIR")
    controls_output: Path | None = flag(
        "outputs", None, "class folder of the controls: other findings, same site", type=Path, metavar="DIR"
    )
    finding: str = flag(
        "selection", "", "finding to keep, at any level of its path (default: COVID-19)", metavar="NAME"
    )
    view: list[str] | None = flag(
        "selection",
        None,
        "view to keep, repeatable: PA, AP, frontal, or the collection's own (default: PA, or any)",
        action="append",
        metavar="VIEW",
    )
    adults: bool = flag("selection", False, "keep patients of 18 years and over only")
    one_per_patient: bool | None = flag(
        "selection",
        None,
        "keep one image of each patient (default: as the collection needs)",
        action=argparse.BooleanOptionalAction,
    )
    limit: int | None = flag(
        "selection",
        None,
        "keep at most N images of each folder, sampled at random",
        "-n",
        type=whole_number(1),
        metavar="N",
    )
    shared_sites_only: bool = flag("selection", False, "with --controls-output: keep only sites that have both")
    split: str = flag("selection", "", "part of a published split: train, val or test", metavar="PART")
    patients: Path | None = flag(
        "selection",
        None,
        "table of the patients of files: columns file and patient, or those of a published table",
        type=Path,
        metavar="CSV",
    )
    seed: int = seed_flag()

    def __post_init__(self) -> None:
        """Reject flags without those that they need, the same folder twice, or what is no name of a finding."""
        if self.finding and not self.finding[0].isalnum():
            raise InputError(f"--finding {self.finding}: a finding begins with a letter or digit; give its name")
        if self.controls_output and os.path.realpath(self.controls_output) == os.path.realpath(self.output):
            raise InputError(f"--controls-output: {self.controls_output} is the same folder as --output")
        if self.shared_sites_only and not self.controls_output:
            raise InputError("--shared-sites-only needs --controls-output")

    def rank(self, entry: ImageRecord) -> bytes:
        """Return the hash by which an image is drawn: not by the order of a file system, nor by a random generator.

        Of its path, or its name alone in a collection that lies in any layout.
        """
        name = entry.filename if self.exact else entry.path.as_posix()
        return hashlib.sha256(f"{self.seed}:{name}".encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True)
class CovidOptions(BuildOptions):
    """What build_covid_dataset.py is asked for."""

    covid: Path = flag(
        "input",
        Path("covid-chestxray-dataset"),
        "collection to read: Cohen's, Actualmed, Figure 1, Hannover, SIIM, COVIDx, Radiography Database",
        "-c",
        metavar="DIR",
    )
    download: bool = flag("input", False, "fetch what is missing of Cohen's collection into the folder of --covid")
    write_manifests: Path | None = flag(
        "input", None, "only write manifests for your own class folders", type=Path, metavar="DIR"
    )
    source: str = flag("input", "", "with --write-manifests: name of the data set", metavar="NAME")
    patient_from: re.Pattern[str] | None = flag("input", None, PATIENT_FROM, type=patient_pattern, metavar="REGEX")

    def __post_init__(self) -> None:
        """Reject flags without those that they need."""
        super().__post_init__()
        if bool(self.write_manifests) != bool(self.source):
            raise InputError("--write-manifests needs --source, and --source needs --write-manifests")
        if self.write_manifests and len(self.view or ()) > 1:
            raise InputError("--write-manifests takes one --view for all images")


@dataclass(frozen=True)
class SampleOptions(BuildOptions):
    """What sample_kaggle_dataset.py is asked for."""

    exact: ClassVar[bool] = True

    output: Path = flag("outputs", Path("dataset/normal"), "class folder", "-o", metavar="DIR")
    finding: str = flag(
        "selection",
        "normal",
        "finding to sample: a label or class of the data set; virus or bacteria in Kermany's",
        metavar="NAME",
    )
    limit: int | None = flag(
        "selection",
        25,
        "number of images to sample",
        *("-s", "-n", "--sample"),
        dest="limit",
        type=whole_number(1),
        metavar="N",
    )
    kaggle: Path | None = flag(
        "input",
        None,
        "unpacked: Kermany's chest_xray, NIH ChestX-ray14 or its sample, RSNA's challenge (default: Kermany's, by "
        "kagglehub)",
        "-k",
        type=Path,
        metavar="DIR",
    )


@dataclass
class Selection:
    """The entries that are kept, and why each other one is not: in short, and by name where there is more to say."""

    kept: list[ImageRecord]
    dropped: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, reason_of: Callable[[ImageRecord], str]) -> None:
        """Drop what is kept and for which there is a reason."""
        reasons = [(entry, reason_of(entry)) for entry in self.kept]
        self.kept = [entry for entry, reason in reasons if not reason]
        self.dropped += [(reason, "") for _, reason in reasons if reason]

    def account(self, total: int) -> str:
        """Say how many rows were read, kept, of how many patients, and dropped for which reason."""
        counts = Counter(reason for reason, _ in self.dropped)
        reasons = f" ({', '.join(f'{reason} {count}' for reason, count in counts.items())})" if counts else ""
        patients = len({entry.patient for entry in self.kept})
        return (
            f"{counted(total, 'row')} read, {counted(len(self.kept), 'image')} of {counted(patients, 'patient')} kept, "
            f"{len(self.dropped)} dropped{reasons}"
        )


Chosen = dict[Path, Selection]  # by the class folder that they go to


def build(collection: Collection, folder: Path, options: BuildOptions, log: Log, fetch: bool = False) -> None:
    """Fill class folders with images of a collection, of which `folder` is a local copy, and say what was kept.

    With `fetch`, images that a copy of J. P. Cohen's collection lacks are fetched into it.
    """
    if options.adults and collection.are_children:
        raise InputError(f"--adults: all patients of {collection.source} are children; take another data set")
    if options.split and options.split not in collection.parts:
        parts = f"has the parts {', '.join(collection.parts)}" if collection.parts else "is not published in parts"
        raise InputError(f"--split {options.split}: {folder} ({collection.source}) {parts}")
    entries = [*collection.read(folder, options.split or collection.part)]
    total = len(entries)
    log.info(f"{total} rows in {folder} ({collection.source})")
    notes = collection.notes(folder, entries)
    if options.patients:
        who, said = read_patients(options.patients, [entry.path.as_posix() for entry in entries], folder)
        entries = [replace(entry, patient=who.get(entry.path.as_posix()) or entry.patient) for entry in entries]
        notes += said
    entries, said = joined(entries)
    for note in notes + said:
        log.info(note)
    chosen = choose(collection, entries, options)
    for output in chosen:
        require_folder(output)
    if fetch:
        wanted = [entry.path for one in chosen.values() for entry in one.kept]
        log.info(f"fetching those of {len(wanted)} images that {folder} does not hold yet...")
        failures = download.fetch_all(BASE_URL, wanted, folder, from_bytes, options.quiet)
        for path, reason in list(failures.items())[:MOST_NAMED]:
            log.info(f"  not fetched: {path}: {reason}")
    for output, selection in chosen.items():
        take(collection, folder, output, selection, options)
    if options.shared_sites_only:
        share_sites(chosen)
    first = chosen[options.output]
    if options.exact and options.limit and len(first.kept) < options.limit:
        more = "; --no-one-per-patient keeps several of a patient" if (FURTHER, "") in first.dropped else ""
        raise InputError(f"--sample {options.limit}: {folder} has too few images: {first.account(total)}{more}")
    if not first.kept:
        raise InputError(f"{folder}: no image is left for {options.output}: {first.account(total)}")
    for output, selection in chosen.items():
        write(folder, output, selection, collection, total, log)
    beside = {one for output in chosen for one in output.resolve().parent.iterdir()}
    overview.report(log, overview.of_manifests(sorted(one for one in beside if (one / manifest.NAME).is_file())))


def joined(entries: Sequence[ImageRecord]) -> tuple[list[ImageRecord], list[str]]:
    """Return the entries with one name for each person, and a note: patients for whom an image is listed are one."""
    who = [person(entry.patient) for entry in entries]
    first: dict[tuple[str, str], int] = {}
    known = [(row, entry) for row, entry in enumerate(entries) if entry.patient and entry.filename]
    names = merged(who, [(first.setdefault((entry.folder, entry.filename), row), row) for row, entry in known])
    written = {name: entry.patient for name, entry in zip(reversed(who), reversed(entries), strict=True)}
    same = {one: f"{written[one]} is {written[name]}" for one, name in zip(who, names, strict=True) if one != name}
    notes = [f"patients with an image in common are one: {first_names([*same.values()])}"] if same else []
    return [replace(entry, patient=written[name]) for entry, name in zip(entries, names, strict=True)], notes


def choose(collection: Collection, entries: Sequence[ImageRecord], options: BuildOptions) -> Chosen:
    """Choose the images of a finding and, where there is a folder for them, its controls, by what the tables say."""
    finding = dict(collection.words).get(options.finding.lower(), options.finding) or collection.positive
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
            one.leave_out(lambda entry: "listed with two findings" if entry.path in both else "")
    if options.shared_sites_only:
        share_sites(chosen)
    return chosen


def select(
    collection: Collection, entries: Iterable[ImageRecord], wanted: Callable[[str], bool], options: BuildOptions
) -> Selection:
    """Keep the X-rays of some finding, and of the views and ages asked for, as far as the tables say."""
    selection = Selection([*entries])
    selection.leave_out(
        lambda entry: (
            entry.unknown
            or ("" if wanted(entry.finding) else "another finding")
            or _unwanted(entry, collection, options, not collection.reads_headers)
            or ("" if simple(entry.modality) == "xray" else "another modality")
        )
    )
    first = {*{require_inside(entry): id(entry) for entry in reversed(selection.kept)}.values()}
    selection.leave_out(lambda entry: "" if id(entry) in first else "listed twice")
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
    # Such as an image of the Hannover repository that Cohen's collection has brought.
    there = {(row["site"], Path(name).stem): row["source"] for name, row in manifest.read(output).items()}
    others = {key: f"there already from {source}" for key, source in there.items() if source != collection.source}
    selection.leave_out(lambda entry: others.get((entry.site, entry.path.stem), "") if others else "")
    candidates, selection.kept = selection.kept, []
    if options.limit is not None:
        candidates = sorted(candidates, key=options.rank)
    one = collection.one_per_patient if options.one_per_patient is None else options.one_per_patient
    patients: set[str] = set()
    for entry in progress(candidates, len(candidates), f"checking images for {output}", options.quiet):
        found, reason, detail = entry, "", ""
        if options.limit is not None and len(selection.kept) >= options.limit:
            reason = "over the limit"
        elif not one or entry.patient not in patients:  # as the tables know it: another image is not read
            found, reason, detail = _read(collection, folder, entry, options)
        if not reason and one and found.patient in patients:
            reason = FURTHER
        if reason:
            selection.dropped.append((reason, detail))
        else:
            selection.kept.append(found)
            patients |= {entry.patient, found.patient} - {""}
    selection.kept.sort(key=lambda entry: entry.path.as_posix())


def _read(
    collection: Collection, folder: Path, entry: ImageRecord, options: BuildOptions
) -> tuple[ImageRecord, str, str]:
    """Return an entry with what its file says, and why it is not wanted or cannot be read: in short, by name."""
    path = folder / entry.path
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path} ({entry.listed}) is a link that leaves the collection's folder; remove it")
    if not path.exists():
        return entry, "image missing", f"{entry.path}: missing"
    try:
        found = collection.complete(folder, entry)
        reason = _unwanted(found, collection, options, True)
        return (found if reason else replace(found, sha256=read(path).digest)), reason, ""
    except InputError as error:
        return entry, "image unreadable", str(error)


def share_sites(chosen: Chosen) -> None:
    """Keep the sites that have images for every folder."""
    shared = set.intersection(*({entry.site for entry in one.kept} for one in chosen.values()))
    for one in chosen.values():
        one.leave_out(lambda entry: "" if entry.site in shared else "site without the other class")


def write(folder: Path, output: Path, selection: Selection, collection: Collection, total: int, log: Log) -> None:
    """Copy a selection's images into their class folder, and say what was kept and why others were not."""
    sources, rows = dict[str, Path](), []
    for entry in selection.kept:
        name = manifest.free_name(entry.filename, sources, f"patient{entry.patient}")
        sources[name] = folder / entry.path
        rows.append(collection.manifest_row(entry, name, output.name))
    others = manifest.replace(
        output,
        rows,
        collection.source,
        lambda row, target: write_together({target: sources[row["file"]].read_bytes()}),
    )
    log.info(f"{output}: {selection.account(total)}")
    for detail in [detail for _, detail in selection.dropped if detail][:MOST_NAMED]:
        log.info(f"  left out: {detail}")
    if others:
        log.info(f"  left unchanged, since no build put it there: {', '.join(others)}")


# Class folders that a person has from elsewhere


def write_manifests(
    folder: Path, source: str, view: str, patients: Path | None, patient_from: re.Pattern[str] | None = None
) -> tuple[dict[Path, int], list[str]]:
    """Write a manifest into each folder of images of a data set, beside what other manifests of it say.

    A name for `source` is none of a collection that has a builder, whose next build would take the images for its own;
    `view` is of all images, or empty. Returns the number of images of each folder that got a manifest, and notes.
    """
    if source in SOURCES or source == PHANTOM:
        raise InputError(f"--source {source} is a collection with a builder of its own; give the images another name")
    images, notes = list_classes(folder, patient_from, "--write-manifests")
    notes = [note for note in notes if manifest.NAME not in note]  # that is of the manifests of before
    given: dict[str, str] = {}
    if patients:
        given, said = read_patients(patients, [image.file for image in images], folder)
        notes += said
    by_folder: dict[Path, list[Image]] = defaultdict(list)
    for image in images:
        by_folder[image.path.parent].append(image)
    manifests: dict[Path, bytes] = {}
    for inner, inside in by_folder.items():
        known = manifest.read(inner)
        others = {name: row for name, row in known.items() if row["source"] not in ("", source)}
        own = {
            image.path.name: _row(image, known.get(image.path.name, {}), given.get(image.file, ""), source, view)
            for image in inside
        }
        manifests[inner / manifest.NAME] = manifest.as_file((own | others).values())
    write_together(manifests)
    return {inner: len(inside) for inner, inside in by_folder.items()}, notes


def _row(image: Image, earlier: manifest.Row, patient: str, source: str, view: str) -> manifest.Row:
    """Return the row of an image: what the user says, then an earlier row of the same bytes, then header and path."""
    digest, said, own = sha256(image.path), image.row, image.patient or ""
    if earlier.get("sha256", "") not in ("", digest):
        earlier, said, own = {}, {}, ""
    known = dict.fromkeys(manifest.COLUMNS, "") | said | {name: cell for name, cell in earlier.items() if cell}
    return known | {
        "file": image.path.name,
        "label": image.label,
        "patient": patient or own.partition("/")[2],
        "view": view or known["view"],
        "finding": known["finding"] or image.label,
        "source": source,
        "site": known["site"] or source,
        "sha256": digest,
    }


def read_patients(path: Path, files: Sequence[str], folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the patients of those files that a table names, empty where not known, and what to say of the others."""
    rows = read_by_file(path, "--patients", {"patient": PATIENT})
    names = {file: "" if is_missing(row["patient"]) else row["patient"] for file, row in rows.items()}
    given, unused, notes = match_files(names, files, f"--patients {path}")
    if len(unused) == len(names):
        raise InputError(
            f"--patients {path} names no image of {folder}, but {first_names(unused)}; give the table of these images"
        )
    return given, notes
