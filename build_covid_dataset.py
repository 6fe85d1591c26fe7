"""Filter a collection of COVID-19 radiographs into a class folder, and its controls into another."""

from __future__ import annotations

from pathlib import PurePosixPath

from detector import InputError
from detector.cli.arguments import parse
from detector.cli.output import Log
from detector.cli.run import run
from detector.collections.catalogue import BUILT, recognise
from detector.collections.cohen import BASE_URL, REPOSITORY, Cohen
from detector.datasets import download, overview, own_folders
from detector.datasets.build import build
from detector.datasets.build_options import CovidOptions

DESCRIPTION = "Filter a collection of COVID-19 radiographs into dataset/covid."
EXAMPLE = "python build_covid_dataset.py -c covid-chestxray-dataset -o dataset/covid --controls-output controls/other"


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(CovidOptions, DESCRIPTION, EXAMPLE, arguments)
    log = Log(options.quiet)
    if options.write_manifests:
        write_manifests(options, log)
        return 0
    if options.download:
        fetch_metadata(options, log)
        build(Cohen(), options.covid, options, log, fetch=True)
        return 0
    if not options.covid.exists():
        raise InputError(
            f"--covid {options.covid} does not exist; get Cohen's collection with --download, or with git clone "
            f"--depth 1 {REPOSITORY}, or give the folder of another collection (docs/data.md)"
        )
    build(recognise(options.covid, BUILT, "--covid"), options.covid, options, log)
    return 0


def fetch_metadata(options: CovidOptions, log: Log) -> None:
    """Fetch the table of Cohen's collection into a local copy that lacks it."""
    log.info(f"fetching {Cohen.table} from {BASE_URL}...")
    table = PurePosixPath(Cohen.table)
    failures = download.fetch_all(BASE_URL, [table], options.covid, Cohen().parse, options.quiet)
    for reason in failures.values():
        raise InputError(f"{BASE_URL}/{table} cannot be fetched: {reason}; get the collection with git clone")


def write_manifests(options: CovidOptions, log: Log) -> None:
    """Write manifests for class folders of the user's own."""
    assert options.write_manifests
    counts, notes = own_folders.write_manifests(
        options.write_manifests, options.source, (options.view or [""])[0], options.patients, options.patient_from
    )
    for note in notes:
        log.info(note)
    for folder, count in counts.items():
        log.info(f"{folder}: a manifest of {count} images; the images are unchanged")
    overview.report(log, overview.of_manifests(counts))


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
