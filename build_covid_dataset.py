"""Filter J. P. Cohen's COVID-19 image data collection into a class folder of PA chest radiographs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from detector import InputError
from detector.command_line import Parser, Story, add_common, progress, run, whole_number

EXAMPLE = "python build_covid_dataset.py -c covid-chestxray-dataset -o dataset/covid --controls controls/other"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Filter the COVID-19 image data collection into dataset/covid.", EXAMPLE)
    parser.add_argument(
        "-c", "--covid", type=Path, default=Path("covid-chestxray-dataset"), metavar="CLONE", help="clone to read"
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch into CLONE what is missing there: metadata.csv, matching images"
    )
    parser.add_argument("--base-url", metavar="URL", help="where --download fetches from (default: a pinned commit)")
    parser.add_argument("-o", "--output", type=Path, default=Path("dataset/covid"), metavar="DIR", help="class folder")
    parser.add_argument(
        "--controls", type=Path, metavar="DIR", help="also write the source's other known findings here"
    )
    parser.add_argument("--view", action="append", metavar="VIEW", help="view to keep, repeatable (default: PA)")
    parser.add_argument(
        "--finding", default="COVID-19", metavar="NAME", help="finding to keep, at any level of its path"
    )
    parser.add_argument("--one-per-patient", action="store_true", help="keep a patient's first image only")
    parser.add_argument("--limit", type=whole_number(1), metavar="N", help="keep at most N images of each folder")
    add_common(parser, seed=False)
    options = parser.parse_args(arguments)
    if options.controls and os.path.realpath(options.controls) == os.path.realpath(options.output):
        parser.error(f"argument --controls: {options.controls} is the same folder as --output")
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    story = Story(options.quiet)

    from detector import cohen, download, manifest, selection
    from detector.files import copy_whole, require_folder, sha256
    from detector.radiographs import from_bytes

    wanted = {options.output: lambda finding: cohen.names_finding(finding, options.finding)}
    if options.controls:
        wanted[options.controls] = lambda finding: cohen.is_control(finding, options.finding)
    for folder in wanted:
        require_folder(folder)

    clone, base = options.covid, options.base_url or cohen.BASE_URL
    if options.download:
        story.tell(f"fetching {cohen.METADATA} from {base}...")
        failures = download.fetch_all(base, [cohen.METADATA_PATH], clone, cohen.parse_metadata, options.quiet)
        for reason in failures.values():
            raise InputError(
                f"{base}/{cohen.METADATA} cannot be fetched: {reason}; clone the collection and use --covid"
            )
    entries = cohen.read_metadata(clone / cohen.METADATA)
    story.tell(f"{len(entries)} rows in {clone / cohen.METADATA}")
    selections = {folder: selection.select(entries, keep, options.view or ["PA"]) for folder, keep in wanted.items()}

    failures = {}
    if options.download:
        paths = [entry.path for chosen in selections.values() for entry in chosen.kept]
        story.tell(f"fetching those of {len(paths)} images that {clone} does not hold yet...")
        failures = download.fetch_all(base, paths, clone, from_bytes, options.quiet)
    for folder, chosen in selections.items():
        shown = progress(chosen.kept, len(chosen.kept), f"checking images for {folder}", options.quiet)
        readable = selection.keep_readable(clone, chosen, failures, shown)
        selections[folder] = selection.limit(readable, options.one_per_patient, options.limit)
    if not selections[options.output].kept:
        account = selection.account(selections[options.output], len(entries))
        raise InputError(f"{clone}: no image is left for {options.output}: {account}")

    for folder, chosen in selections.items():
        sources = {
            name: clone / entry.path for name, entry in zip(selection.file_names(chosen.kept), chosen.kept, strict=True)
        }
        rows = [
            selection.manifest_row(entry, name, folder.name, sha256(source))
            for entry, (name, source) in zip(chosen.kept, sources.items(), strict=True)
        ]
        others = manifest.replace(
            folder,
            rows,
            lambda row, target, sources=sources: copy_whole(sources[row["file"]], target),
            selection.CLINICAL,
        )
        story.tell(f"{folder}: {selection.account(chosen, len(entries))}")
        for line in chosen.named:
            story.tell(f"  left out: {line}")
        if others:
            story.tell(f"  left alone, since no build put it there: {', '.join(others)}")
    return 0


if __name__ == "__main__":
    run(main)
