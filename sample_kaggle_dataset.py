"""Draw normal chest radiographs from Kaggle's "Chest X-Ray Images (Pneumonia)" into a class folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.command_line import Parser, Story, add_common, progress, run, whole_number

EXAMPLE = "python sample_kaggle_dataset.py -k chest_xray -o dataset/normal -s 25"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Draw normal radiographs from Kaggle's chest_xray into dataset/normal.", EXAMPLE)
    parser.add_argument("-k", "--kaggle", type=Path, metavar="DIR", help="chest_xray, unpacked (default: by kagglehub)")
    parser.add_argument("-o", "--output", type=Path, default=Path("dataset/normal"), metavar="DIR", help="class folder")
    parser.add_argument("-s", "--sample", type=whole_number(1), default=25, metavar="N", help="images to draw")
    parser.add_argument("--split", default="train", metavar="NAME", help="split to draw from")
    parser.add_argument("--class", dest="kaggle_class", default="NORMAL", metavar="NAME", help="class to draw from")
    parser.add_argument("--any", action="store_true", help="allow several images of one patient")
    add_common(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    story = Story(options.quiet)

    from detector import InputError, kaggle, manifest
    from detector.files import copy_whole, require_folder
    from detector.radiographs import name_all, read

    if options.kaggle and not options.kaggle.is_dir():
        raise InputError(f"--kaggle {options.kaggle} is not a folder")
    require_folder(options.output)
    if not options.kaggle:
        story.tell("no -k given: getting the data set (2 GB) through kagglehub...")
    folder = kaggle.locate(options.kaggle or kaggle.fetch(), options.split, options.kaggle_class)
    images = kaggle.draw(folder, options.sample, options.seed, one_per_patient=not options.any)
    story.tell(f"{len(images)} images drawn from {folder} with seed {options.seed}")

    digests, failures = [], []
    for path in progress(images, len(images), "checking images", options.quiet):
        try:
            digests.append(read(path).digest)
        except InputError as error:
            failures.append(error)
    if failures:
        raise name_all(failures, len(images))

    rows = kaggle.manifest_rows(images, options.output.name, options.kaggle_class, digests)
    sources = {path.name: path for path in images}
    others = manifest.replace(options.output, rows, lambda row, target: copy_whole(sources[row["file"]], target))
    patients = len({row["patient"] for row in rows})
    story.tell(f"{options.output}: {len(rows)} images of {patients} patients")
    if others:
        story.tell(f"  left alone, since no build put it there: {', '.join(others)}")
    return 0


if __name__ == "__main__":
    run(main)
