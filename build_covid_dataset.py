"""Filter a collection of COVID-19 radiographs into a class folder, and its controls into another."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from detector import InputError
from detector.command_line import Log, Parser, add_common, run, whole_number

EXAMPLE = "python build_covid_dataset.py -c covid-chestxray-dataset -o dataset/covid --controls-output controls/other"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Filter a collection of COVID-19 radiographs into dataset/covid.", EXAMPLE)
    parser.add_argument(
        "-c",
        "--covid",
        type=Path,
        default=Path("covid-chestxray-dataset"),
        metavar="CLONE",
        help="clone to read: Cohen's collection, Actualmed, Figure 1, Hannover",
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch into CLONE what of Cohen's collection is missing there"
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
        help="view to keep, repeatable: PA, AP, frontal, or a collection's own word (default: PA)",
    )
    parser.add_argument(
        "--finding", default="COVID-19", metavar="NAME", help="finding to keep, at any level of its path"
    )
    parser.add_argument(
        "--one-per-patient",
        action=argparse.BooleanOptionalAction,
        help="keep one image of each patient",
    )
    parser.add_argument("-n", "--limit", type=whole_number(1), metavar="N", help="keep at most N images of each folder")
    parser.add_argument(
        "--write-manifests", type=Path, metavar="DIR", help="only write manifests for your own class folders"
    )
    parser.add_argument("--source", metavar="NAME", help="with --write-manifests: name of the data set")
    parser.add_argument(
        "--patients", type=Path, metavar="CSV", help="with --write-manifests: table with the columns file and patient"
    )
    add_common(parser, seed=False)
    options = parser.parse_args(arguments)
    if options.controls_output and os.path.realpath(options.controls_output) == os.path.realpath(options.output):
        parser.error(f"argument --controls-output: {options.controls_output} is the same folder as --output")
    if options.shared_sites_only and not options.controls_output:
        parser.error("argument --shared-sites-only: needs --controls-output")
    if bool(options.write_manifests) != bool(options.source) or (options.patients and not options.write_manifests):
        parser.error("argument --write-manifests: needs --source; --source and --patients need --write-manifests")
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.collections import cohen
    from detector.collections.catalogue import CLONES, recognise
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
        collection = recognise(options.covid, CLONES, "--covid")
    entries = collection.read(options.covid)
    log.info(f"{len(entries)} rows in {options.covid} ({collection.SOURCE})")
    chosen = build.choose(entries, options.output, options.controls_output, options.finding, options.view or ["PA"])
    for folder in folders:
        require_folder(folder)
    if options.download:
        failures = build.fetch_images(base, options.covid, chosen, log)
    chosen = build.keep(options.covid, chosen, failures, folders, log)
    if options.shared_sites_only:
        chosen = build.shared_sites(chosen)
    chosen = build.limited(chosen, bool(options.one_per_patient), options.limit)
    if not chosen[options.output].kept:
        account = build.account(chosen[options.output], len(entries))
        raise InputError(f"{options.covid}: no image is left for {options.output}: {account}")
    for folder, selection in chosen.items():
        build.write(options.covid, folder, selection, collection.SOURCE, len(entries), log)
    overview.tell(log, overview.of_manifests({f for folder in folders for f in overview.siblings(folder)}))
    return 0


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
