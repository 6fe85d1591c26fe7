"""The steps of a build from a clone: choose, fetch, check, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from detector import InputError
from detector.collections import cohen
from detector.collections.findings import is_control, names_finding
from detector.collections.image_record import CLINICAL, ImageRecord, manifest_row
from detector.command_line import Log, progress
from detector.datasets import download, manifest, selection
from detector.datasets.selection import Selection, account
from detector.images.radiographs import from_bytes
from detector.storage.files import copy_whole, sha256

Chosen = dict[Path, Selection]  # by the class folder that they go to


def fetch_metadata(base: str, clone: Path, log: Log) -> None:
    """Fetch the metadata of Cohen's collection into a clone that lacks it.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    log.info(f"fetching {cohen.METADATA} from {base}...")
    failures = download.fetch_all(base, [cohen.METADATA_PATH], clone, cohen.parse_metadata, log.quiet)
    for reason in failures.values():
        raise InputError(f"{base}/{cohen.METADATA} cannot be fetched: {reason}; clone the collection and use --covid")


def choose(
    entries: Sequence[ImageRecord], output: Path, controls: Path | None, finding: str, views: Sequence[str]
) -> Chosen:
    """Choose the images of a finding and, where there is a folder for them, its controls.

    Raises
    ------
    InputError
        If an image would lie outside of the clone.
    """
    chosen = {output: selection.select(entries, lambda found: names_finding(found, finding), views)}
    if controls:
        chosen[controls] = selection.select(entries, lambda found: is_control(found, finding), views)
    return chosen


def fetch_images(base: str, clone: Path, chosen: Chosen, log: Log) -> dict[PurePosixPath, str]:
    """Fetch the images that a clone lacks, and return why others could not be had."""
    paths = [entry.path for one in chosen.values() for entry in one.kept]
    log.info(f"fetching those of {len(paths)} images that {clone} does not hold yet...")
    return download.fetch_all(base, paths, clone, from_bytes, log.quiet)


def keep(
    clone: Path, chosen: Chosen, failures: Mapping[PurePosixPath, str], folders: Sequence[Path], log: Log
) -> Chosen:
    """Keep what can be read and what no other collection has brought already.

    Raises
    ------
    InputError
        If an image leaves the clone.
    """
    there = {
        (row["site"], Path(name).stem): row["source"]
        for folder in folders
        for name, row in manifest.read(folder).items()
        if row["site"]
    }
    kept = {}
    for folder, one in chosen.items():
        new = selection.leave_out_known(one, there)
        shown = progress(new.kept, len(new.kept), f"checking images for {folder}", log.quiet)
        kept[folder] = selection.keep_readable(clone, new, failures, shown)
    return kept


def shared_sites(chosen: Chosen) -> Chosen:
    """Keep the sites that have images for every folder."""
    return dict(zip(chosen, selection.share_sites(list(chosen.values())), strict=True))


def limited(chosen: Chosen, one_per_patient: bool, most: int | None) -> Chosen:
    """Keep a patient's first image only, or the first `most` of each folder."""
    return {folder: selection.limit(one, one_per_patient, most) for folder, one in chosen.items()}


def write(clone: Path, folder: Path, chosen: Selection, source: str, total: int, log: Log) -> None:
    """Copy a selection's images into their class folder, and say what was kept and why others were not.

    Raises
    ------
    InputError
        If the folder cannot be written, or a person's file is in the way.
    """
    names = selection.file_names(chosen.kept)
    sources = {name: clone / entry.path for name, entry in zip(names, chosen.kept, strict=True)}
    rows = [
        manifest_row(entry, name, folder.name, sha256(path))
        for entry, (name, path) in zip(chosen.kept, sources.items(), strict=True)
    ]
    others = manifest.replace(
        folder, rows, source, lambda row, target: copy_whole(sources[row["file"]], target), CLINICAL
    )
    log.info(f"{folder}: {account(chosen, total)}")
    for line in chosen.named:
        log.info(f"  left out: {line}")
    if others:
        log.info(f"  left alone, since no build put it there: {', '.join(others)}")
