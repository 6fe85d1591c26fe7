"""Draw radiographs of one finding, normals by default, from a data set on Kaggle into a class folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.command_line.arguments import Parser, add_common, whole_number
from detector.command_line.exit_status import run
from detector.command_line.printing import Log, progress

EXAMPLE = "python sample_kaggle_dataset.py -k chest_xray -o dataset/normal -s 25"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Sample normal radiographs, or those of another finding, into dataset/normal.", EXAMPLE)
    parser.add_argument(
        "-k",
        "--kaggle",
        type=Path,
        metavar="DIR",
        help="unpacked: Kermany's chest_xray, NIH ChestX-ray14 or its sample, RSNA's challenge "
        "(default: Kermany's, by kagglehub)",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("dataset/normal"), metavar="DIR", help="class folder")
    parser.add_argument(
        "-s", "-n", "--sample", type=whole_number(1), default=25, metavar="N", help="number of images to sample"
    )
    parser.add_argument(
        "--finding",
        default="normal",
        metavar="NAME",
        help="finding to sample: a label or class of the data set; virus or bacteria in Kermany's",
    )
    parser.add_argument("--split", default="train", metavar="NAME", help="split to sample from, in Kermany's")
    parser.add_argument("--view", action="append", metavar="VIEW", help="view to sample, repeatable: PA, AP, frontal")
    parser.add_argument("--adults", action="store_true", help="sample patients of 18 years and over only")
    parser.add_argument(
        "--one-per-patient",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="sample one image of each patient",
    )
    add_common(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector import InputError, counted
    from detector.collections import kermany, rsna
    from detector.collections.catalogue import SAMPLED, recognise
    from detector.collections.image_record import manifest_row
    from detector.datasets import manifest, overview, sampling
    from detector.images.radiographs import name_all, read
    from detector.storage.files import copy_whole, require_folder

    if options.kaggle:
        collection = recognise(options.kaggle, SAMPLED, "--kaggle")
    else:
        require_folder(options.output)
        log.info("no -k given: getting Kermany's data set (2 GB) through kagglehub...")
        options.kaggle, collection = kermany.fetch(), kermany
    entries = collection.read(options.kaggle, options.finding, options.split)
    if options.adults and collection.ARE_CHILDREN:
        raise InputError(f"--adults: all patients of {collection.SOURCE} are children; give another data set with -k")
    complete = (lambda entry: rsna.with_header(options.kaggle, entry)) if collection is rsna else None
    sample = sampling.draw(
        entries,
        sampling.Draw(options.sample, options.seed, options.one_per_patient, options.view or (), options.adults),
        complete,
    )
    require_folder(options.output)
    images = sampling.paths(options.kaggle, sample.drawn)
    log.info(f"{len(images)} images of {len(entries)} sampled from {options.kaggle} with seed {options.seed}")
    for reason, count in sample.left_out.items():
        log.info(f"  left out: {count} {reason}{', of those looked at' if complete else ''}")

    rows, failures = [], []
    for entry in progress(sample.drawn, len(images), "checking images", options.quiet):
        try:
            digest = read(images[entry.filename]).digest
            rows.append(manifest_row(entry, entry.filename, options.output.name, digest))
        except InputError as error:
            failures.append(error)
    if failures:
        raise name_all(failures, len(images))
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
    overview.tell(log, overview.of_manifests(overview.siblings(options.output)))
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
