"""Filter a collection of COVID-19 radiographs into a class folder, and its controls into another."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from detector import InputError
from detector.command_line.arguments import Parser, add_common, whole_number
from detector.command_line.exit_status import run
from detector.command_line.printing import Log

if TYPE_CHECKING:
    from detector.collections.image_record import ImageRecord

EXAMPLE = "python build_covid_dataset.py -c covid-chestxray-dataset -o dataset/covid --controls-output controls/other"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Filter a collection of COVID-19 radiographs into dataset/covid.", EXAMPLE)
    parser.add_argument(
        "-c",
        "--covid",
        type=Path,
        default=Path("covid-chestxray-dataset"),
        metavar="DIR",
        help="collection to read: Cohen's, Actualmed, Figure 1, Hannover, SIIM, COVIDx, Radiography Database",
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch what is missing of Cohen's collection into the folder of --covid"
    )
    parser.add_argument("--base-url", metavar="URL", help="where --download fetches from (default: a pinned commit)")
    parser.add_argument("-o", "--output", type=Path, default=Path("dataset/covid"), metavar="DIR", help="class folder")
    parser.add_argument(
        "--controls-output", type=Path, metavar="DIR", help="class folder of the controls: other findings, same site"
    )
    parser.add_argument(
        "--shared-sites-only", action="store_true", help="with --controls-output: keep only sites that have both"
    )
    parser.add_argument(
        "--view",
        action="append",
        metavar="VIEW",
        help="view to keep, repeatable: PA, AP, frontal, or the collection's own (default: PA, or any)",
    )
    parser.add_argument(
        "--finding", metavar="NAME", help="finding to keep, at any level of its path (default: COVID-19)"
    )
    parser.add_argument("--split", default="", metavar="PART", help="part of COVIDx to keep: train, val or test")
    parser.add_argument(
        "--one-per-patient",
        action=argparse.BooleanOptionalAction,
        help="keep one image of each patient (default: as the collection needs)",
    )
    parser.add_argument(
        "-n",
        "--limit",
        type=whole_number(1),
        metavar="N",
        help="keep at most N images of each folder, sampled at random",
    )
    parser.add_argument(
        "--write-manifests", type=Path, metavar="DIR", help="only write manifests for your own class folders"
    )
    parser.add_argument("--source", metavar="NAME", help="with --write-manifests: name of the data set")
    parser.add_argument("--patients", type=Path, metavar="CSV", help="table with the columns file and patient")
    add_common(parser)
    options = parser.parse_args(arguments)
    if options.controls_output and os.path.realpath(options.controls_output) == os.path.realpath(options.output):
        parser.error(f"argument --controls-output: {options.controls_output} is the same folder as --output")
    if options.shared_sites_only and not options.controls_output:
        parser.error("argument --shared-sites-only: needs --controls-output")
    if bool(options.write_manifests) != bool(options.source):
        parser.error("argument --write-manifests: needs --source, and --source needs --write-manifests")
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.collections import cohen
    from detector.collections.catalogue import BUILT, recognise
    from detector.collections.convention import convention_of
    from detector.datasets import build, overview
    from detector.storage.files import require_folder

    if options.write_manifests:
        return write_manifests_for(options, log)
    folders = [folder for folder in (options.output, options.controls_output) if folder]
    failures: dict = {}
    if options.download:
        base = options.base_url or cohen.BASE_URL
        build.fetch_metadata(base, options.covid, log)
        collection = cohen
    else:
        if not options.covid.exists():
            raise InputError(
                f"--covid {options.covid} does not exist; get Cohen's collection with --download, or with git clone "
                f"--depth 1 {cohen.REPOSITORY}, or give the folder of another collection (docs/data.md)"
            )
        collection = recognise(options.covid, BUILT, "--covid")
    convention = convention_of(collection)
    entries = read_entries(options, collection)
    log.info(f"{len(entries)} rows in {options.covid} ({collection.SOURCE})")
    for note in collection.notes(options.covid, entries) if hasattr(collection, "notes") else ():
        log.info(note)
    entries = with_patients(options, entries)
    per_patient = convention.one_per_patient if options.one_per_patient is None else options.one_per_patient
    views = tuple(options.view or convention.views)
    wanted = build.Wanted(
        options.finding or "", views, per_patient, options.limit, options.seed, options.shared_sites_only
    )
    chosen = build.choose(entries, options.output, options.controls_output, wanted, convention)
    for folder in folders:
        require_folder(folder)
    if options.download:
        failures = build.fetch_images(base, options.covid, chosen, log)
    completer = collection.completer(options.covid) if hasattr(collection, "completer") else None
    chosen = build.keep(options.covid, chosen, failures, wanted, completer, log)
    if not chosen[options.output].kept:
        account = build.account(chosen[options.output], len(entries))
        raise InputError(f"{options.covid}: no image is left for {options.output}: {account}")
    for folder, selection in chosen.items():
        build.write(options.covid, folder, selection, collection.SOURCE, len(entries), log)
    overview.tell(log, overview.of_manifests({f for folder in folders for f in overview.siblings(folder)}))
    if convention.remark:
        log.info(convention.remark)
    return 0


def read_entries(options: argparse.Namespace, collection: ModuleType) -> list[ImageRecord]:
    """Return the images that a collection, or a part of it, lists."""
    from detector.collections import covidx

    if collection is covidx:
        return covidx.read(options.covid, options.split)
    if options.split:
        raise InputError(f"--split: {options.covid} ({collection.SOURCE}) is not published in parts; leave it out")
    return collection.read(options.covid)


def with_patients(options: argparse.Namespace, entries: list[ImageRecord]) -> list[ImageRecord]:
    """Return the images with the patients of `--patients`, by path, file name, name without suffix, or study."""
    from detector.datasets.write_manifests import read_patients

    if not options.patients:
        return entries
    patients = read_patients(options.patients)

    def told(entry: ImageRecord) -> str:
        names = (entry.path.as_posix(), entry.filename, Path(entry.filename).stem, entry.patient)
        return next((patients[name] for name in names if name in patients), entry.patient)

    return [replace(entry, patient=told(entry)) for entry in entries]


def write_manifests_for(options: argparse.Namespace, log: Log) -> int:
    from detector.datasets import overview
    from detector.datasets.write_manifests import read_patients, write_manifests

    patients = read_patients(options.patients) if options.patients else {}
    views = options.view or [""]
    if len(views) > 1:
        raise InputError("--write-manifests takes one --view for all images")
    found = write_manifests(options.write_manifests, options.source, views[0], patients)
    for note in found.notes:
        log.info(note)
    for folder, count in found.counts.items():
        log.info(f"{folder}: a manifest of {count} images; the images are unchanged")
    overview.tell(log, overview.of_manifests(found.counts))
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
