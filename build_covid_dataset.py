"""Filter a collection of COVID-19 radiographs into a class folder, and its controls into another."""

from __future__ import annotations

from pathlib import PurePosixPath

from detector import InputError
from detector.cli.arguments import parse
from detector.cli.output import Log
from detector.cli.run import run
from detector.collections.catalogue import BUILT, recognise
from detector.collections.cohen import BASE_URL, REPOSITORY, Cohen
from detector.datasets import download, overview
from detector.datasets.build import CovidOptions, build, write_manifests

DESCRIPTION = "Filter a collection of COVID-19 radiographs into dataset/covid."
EXAMPLE = "python build_covid_dataset.py -c covid-chestxray-dataset -o dataset/covid --controls-output controls/other"


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(CovidOptions, DESCRIPTION, EXAMPLE, arguments)
    log = Log(options.quiet)
    if options.write_manifests:
        view = (options.view or [""])[0]
        counts, notes = write_manifests(
            options.write_manifests, options.source, view, options.patients, options.patient_from
        )
        for note in (*notes, *(f"{folder}: a manifest of {count} images" for folder, count in counts.items())):
            log.info(note)
        log.info("the images are unchanged")
        overview.report(log, overview.of_manifests(counts))
        return 0
    if options.download:
        log.info(f"fetching {Cohen.table} from {BASE_URL}...")
        table = PurePosixPath(Cohen.table)
        for reason in download.fetch_all(BASE_URL, [table], options.covid, Cohen().parse, options.quiet).values():
            raise InputError(f"{BASE_URL}/{table} cannot be fetched: {reason}; get the collection with git clone")
    elif not options.covid.exists():
        raise InputError(
            f"--covid {options.covid} does not exist; get Cohen's collection with --download, or with git clone "
            f"--depth 1 {REPOSITORY}, or give the folder of another collection (docs/data.md)"
        )
    collection = Cohen() if options.download else recognise(options.covid, BUILT, "--covid")
    build(collection, options.covid, options, log, options.download)
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
