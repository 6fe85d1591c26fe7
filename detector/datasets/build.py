"""The steps of a build from a local copy of a collection: choose, fetch, check, write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detector import InputError, first_names
from detector.cli.output import Log, progress
from detector.collections import cohen
from detector.collections.record import (
    CLINICAL,
    COVID,
    Convention,
    ImageRecord,
    is_control,
    manifest_row,
    names_finding,
)
from detector.datasets import download, manifest, selection
from detector.datasets.sampling import rank
from detector.datasets.selection import Completer, Reader, Selection, account
from detector.files.atomic import copy_whole, sha256
from detector.files.tables import simple
from detector.images.read import from_bytes

Chosen = dict[Path, Selection]  # by the class folder that they go to
MOST_NAMED = 10


def fetch_metadata(base: str, local_copy: Path, log: Log) -> None:
    """Fetch the metadata of Cohen's collection into a local copy that lacks it.

    Raises
    ------
    InputError
        If it cannot be fetched.
    """
    log.info(f"fetching {cohen.METADATA} from {base}...")
    failures = download.fetch_all(base, [cohen.METADATA_PATH], local_copy, cohen.parse_metadata, log.quiet)
    for reason in failures.values():
        raise InputError(
            f"{base}/{cohen.METADATA} cannot be fetched: {reason}; get the collection with git clone and use --covid"
        )


@dataclass(frozen=True)
class SelectionCriteria:
    """What a build is asked to keep.

    Attributes
    ----------
    finding : str
        Of the class; empty for the collection's positive finding.
    views : tuple of str
        Empty for any.
    one_per_patient : bool
    most : int or None
        Images of each folder, drawn at random.
    seed : int
        Of the draw.
    shared_sites_only : bool
        Keep sites that have images for every folder.
    """

    finding: str
    views: tuple[str, ...]
    one_per_patient: bool = False
    most: int | None = None
    seed: int = 42
    shared_sites_only: bool = False


def choose(
    entries: Sequence[ImageRecord],
    output: Path,
    controls: Path | None,
    wanted: SelectionCriteria,
    convention: Convention,
) -> Chosen:
    """Choose the images of a finding and, where there is a folder for them, its controls, by what the tables say.

    Raises
    ------
    InputError
        If no image has the finding, or one would lie outside of the local copy.
    """
    finding = finding_named(entries, wanted.finding or convention.positive)
    positive = convention.positive if names_finding(COVID, finding) else finding
    # Where a header has to be read for the view, the views are looked at later.
    views = wanted.views if any(entry.view for entry in entries) else ()
    chosen = {output: selection.select(entries, lambda found: names_finding(found, positive), views)}
    if controls:

        def is_control_here(found: str) -> bool:
            if convention.controls:
                return any(names_finding(found, one) for one in convention.controls)
            return is_control(found, positive)

        chosen[controls] = selection.select(entries, is_control_here, views)
    return shared_sites(chosen) if wanted.shared_sites_only else chosen


def finding_named(entries: Sequence[ImageRecord], finding: str) -> str:
    """Return a finding that the collection has: as it is, or the only one that begins so.

    Raises
    ------
    InputError
        If it has none; the sentence suggests what is near.
    """
    known = sorted({entry.finding for entry in entries if entry.finding})
    if any(names_finding(found, finding) for found in known) or names_finding(COVID, finding):
        return finding
    levels = sorted({level.strip() for found in known for level in re.split(r"[/,;|]", found)} - {""})
    near = [level for level in levels if simple(level).startswith(simple(finding))] if simple(finding) else []
    if len(near) == 1 and near[0] != COVID:
        return near[0]
    suggestion = f"; did you mean {near[0]}?" if near else "."
    raise InputError(f"--finding {finding}: no image has it{suggestion} Findings here: {first_names(levels, 20)}")


def fetch_images(base: str, local_copy: Path, chosen: Chosen, log: Log) -> dict[PurePosixPath, str]:
    """Fetch the images that a local copy lacks, and return why others could not be fetched."""
    paths = [entry.path for one in chosen.values() for entry in one.kept]
    log.info(f"fetching those of {len(paths)} images that {local_copy} does not hold yet...")
    return download.fetch_all(base, paths, local_copy, from_bytes, log.quiet)


def keep(
    local_copy: Path,
    chosen: Chosen,
    failures: Mapping[PurePosixPath, str],
    wanted: SelectionCriteria,
    completer: Completer | None,
    log: Log,
) -> Chosen:
    """Keep what can be read and what no other collection has brought already, as many as are wanted.

    With a limit, images are drawn at random, and no header or image is read of those that are not looked at.

    Raises
    ------
    InputError
        If an image leaves the local copy.
    """
    there = {
        (row["site"], Path(name).stem): row["source"]
        for folder in chosen
        for name, row in manifest.read(folder).items()
        if row["site"]
    }
    kept = {}
    for folder, one in chosen.items():
        new = selection.leave_out_known(one, there)
        candidates = new.kept
        if wanted.most is not None:
            candidates = sorted(candidates, key=lambda entry: rank(wanted.seed, entry.path.as_posix()))
        reader = Reader(local_copy, failures, completer, wanted.views)
        shown = progress(candidates, len(candidates), f"checking images for {folder}", log.quiet)
        kept[folder] = reader.take(new, shown, wanted.one_per_patient, wanted.most)
    return shared_sites(kept) if wanted.shared_sites_only else kept


def shared_sites(chosen: Chosen) -> Chosen:
    """Keep the sites that have images for every folder."""
    return dict(zip(chosen, selection.share_sites(list(chosen.values())), strict=True))


def write(local_copy: Path, folder: Path, chosen: Selection, source: str, total: int, log: Log) -> None:
    """Copy a selection's images into their class folder, and say what was kept and why others were not.

    Raises
    ------
    InputError
        If the folder cannot be written, or a person's file is in the way.
    """
    names = selection.file_names(chosen.kept)
    sources = {name: local_copy / entry.path for name, entry in zip(names, chosen.kept, strict=True)}
    rows = [
        manifest_row(entry, name, folder.name, sha256(path))
        for entry, (name, path) in zip(chosen.kept, sources.items(), strict=True)
    ]
    extra = [*CLINICAL, manifest.BOXES] if any(row.get(manifest.BOXES) for row in rows) else CLINICAL
    others = manifest.replace(folder, rows, source, lambda row, target: copy_whole(sources[row["file"]], target), extra)
    log.info(f"{folder}: {account(chosen, total)}")
    for line in chosen.named[:MOST_NAMED]:
        log.info(f"  left out: {line}")
    if (more := len(chosen.named) - MOST_NAMED) > 0:
        log.info(f"  and {more} more")
    for note, count in chosen.notes.items():
        log.info(f"  {count} × {note}")
    if others:
        log.info(f"  left unchanged, since no build put it there: {', '.join(others)}")
