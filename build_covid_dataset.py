"""Filter a collection of COVID-19 radiographs into a class folder, and its controls into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector import InputError
from detector.cli.arguments import Parser, add_common
from detector.cli.output import Log
from detector.cli.run import run
from detector.datasets.build_flags import add_build, add_manifests, options_from, require_together

if TYPE_CHECKING:
    from detector.datasets.build_options import BuildOptions, ManifestOptions

EXAMPLE = "python build_covid_dataset.py -c covid-chestxray-dataset -o dataset/covid --controls-output controls/other"


def parse_arguments(arguments: list[str] | None) -> BuildOptions | ManifestOptions:
    """Parse the command line."""
    parser = Parser("Filter a collection of COVID-19 radiographs into dataset/covid.", EXAMPLE)
    add_build(parser)
    add_manifests(parser)
    add_common(parser)
    given = parser.parse_args(arguments)
    require_together(parser, given)
    return options_from(given)


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)

    from detector.datasets.build_options import ManifestOptions

    log = Log(options.quiet)
    if isinstance(options, ManifestOptions):
        write_manifests_for(options, log)
    else:
        build_folders(options, log)
    return 0


def build_folders(options: BuildOptions, log: Log) -> None:
    """Filter a collection into class folders."""
    from detector.collections.record import convention_of
    from detector.datasets import build, build_source, overview
    from detector.files.atomic import require_folder

    source = options.source
    if source.download_from:
        build.fetch_metadata(source.download_from, source.folder, log)
    collection = build_source.find_collection(source)
    convention = convention_of(collection)
    wanted = options.selection.wanted(convention)
    entries = build_source.read_entries(source, collection)
    log.info(f"{len(entries)} rows in {source.folder} ({collection.SOURCE})")
    for note in collection.notes(source.folder, entries) if hasattr(collection, "notes") else ():
        log.info(note)
    entries = build_source.with_patients(source.patients, entries)
    chosen = build.choose(entries, options.output, options.controls_output, wanted, convention)
    for folder in options.folders:
        require_folder(folder)
    failures = build.fetch_images(source.download_from, source.folder, chosen, log) if source.download_from else {}
    completer = collection.completer(source.folder) if hasattr(collection, "completer") else None
    chosen = build.keep(source.folder, chosen, failures, wanted, completer, log)
    if not chosen[options.output].kept:
        account = build.account(chosen[options.output], len(entries))
        raise InputError(f"{source.folder}: no image is left for {options.output}: {account}")
    for folder, selection in chosen.items():
        build.write(source.folder, folder, selection, collection.SOURCE, len(entries), log)
    overview.report(log, overview.of_manifests({f for folder in options.folders for f in overview.siblings(folder)}))
    if convention.remark:
        log.info(convention.remark)


def write_manifests_for(options: ManifestOptions, log: Log) -> None:
    """Write manifests for class folders of the user's own."""
    from detector.datasets import overview
    from detector.datasets.own_folders import read_patients, write_manifests

    patients = read_patients(options.patients) if options.patients else {}
    views = options.views or ("",)
    if len(views) > 1:
        raise InputError("--write-manifests takes one --view for all images")
    found = write_manifests(options.folder, options.source, views[0], patients)
    for note in found.notes:
        log.info(note)
    for folder, count in found.counts.items():
        log.info(f"{folder}: a manifest of {count} images; the images are unchanged")
    overview.report(log, overview.of_manifests(found.counts))


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
