"""Draw radiographs of one finding, normals by default, from a data set on Kaggle into a class folder."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from detector.cli.arguments import Parser, add_common
from detector.cli.output import Log
from detector.cli.run import run
from detector.datasets.sample_flags import add_sample, sample_options

if TYPE_CHECKING:
    from detector.datasets.sampling import SampleOptions

EXAMPLE = "python sample_kaggle_dataset.py -k chest_xray -o dataset/normal -s 25"


def parse_arguments(arguments: list[str] | None) -> SampleOptions:
    """Parse the command line."""
    parser = Parser("Sample normal radiographs, or those of another finding, into dataset/normal.", EXAMPLE)
    add_sample(parser)
    add_common(parser)
    return sample_options(parser.parse_args(arguments))


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector import InputError, counted
    from detector.collections import rsna
    from detector.datasets import manifest, overview, sampling
    from detector.files.atomic import copy_whole, require_folder

    folder, collection = find_collection(options, log)
    entries = collection.read(folder, options.finding, options.split)
    if options.draw.adults and collection.ARE_CHILDREN:
        raise InputError(f"--adults: all patients of {collection.SOURCE} are children; give another data set with -k")
    complete = (lambda entry: rsna.with_header(folder, entry)) if collection is rsna else None
    sample = sampling.draw(entries, options.draw, complete)
    require_folder(options.output)
    images = sampling.paths(folder, sample.drawn)
    log.info(f"{len(images)} images of {len(entries)} sampled from {folder} with seed {options.draw.seed}")
    for reason, count in sample.left_out.items():
        log.info(f"  left out: {count} {reason}{', of those looked at' if complete else ''}")
    rows = sampling.manifest_rows(sample.drawn, images, options.output.name, options.quiet)
    extra = [name for name in ("age", "sex", manifest.BOXES) if any(row.get(name) for row in rows)]
    others = manifest.replace(
        options.output,
        rows,
        collection.SOURCE,
        lambda row, target: copy_whole(images[row["file"]], target),
        extra,
    )
    patients = len({row["patient"] for row in rows})
    log.info(f"{options.output}: {counted(len(rows), 'image')} of {counted(patients, 'patient')}")
    if others:
        log.info(f"  left unchanged, since no build put it there: {', '.join(others)}")
    overview.report(log, overview.of_manifests(overview.siblings(options.output)))
    return 0


def find_collection(options: SampleOptions, log: Log) -> tuple[Path, ModuleType]:
    """Return the folder of the data set, fetched if none is given, and the collection that it holds."""
    from detector.collections import kermany
    from detector.collections.catalogue import SAMPLED, recognise
    from detector.files.atomic import require_folder

    if options.kaggle:
        return options.kaggle, recognise(options.kaggle, SAMPLED, "--kaggle")
    require_folder(options.output)
    log.info("no -k given: getting Kermany's data set (2 GB) through kagglehub...")
    return kermany.fetch(), kermany


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
