"""Draw a data set of synthetic chest radiographs, for a first run without any download."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.cli.arguments import Parser, add_common, whole_number
from detector.cli.output import Log, progress
from detector.cli.run import run
from detector.images import shortcuts

EXAMPLE = "python make_phantom_dataset.py -o demo/dataset -n 25"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser("Draw synthetic chest radiographs of two classes, covid and normal.", EXAMPLE)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo/dataset"), metavar="DIR", help="data set to make"
    )
    parser.add_argument("-n", "--number", type=whole_number(1), default=25, metavar="N", help="phantoms of each class")
    parser.add_argument(
        "--images-per-patient",
        type=whole_number(1),
        default=1,
        metavar="K",
        help="radiographs of the same patient, with another position, exposure and noise",
    )
    parser.add_argument(
        "--shortcut",
        choices=[*shortcuts.KINDS],
        metavar="KIND",
        help=f"add this to the images of covid, as a scanner or an archive would: {', '.join(shortcuts.KINDS)}",
    )
    parser.add_argument(
        "--strength", type=int, choices=[1, 2, 3], default=2, help="of the shortcut: weak, moderate, strong"
    )
    add_common(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.files.atomic import require_folder
    from detector.images import phantom

    for label in phantom.CLASSES:
        require_folder(options.output / label)
    for index, label in enumerate(phantom.CLASSES):
        write_class(label, index * options.number, options, log)
    return 0


def write_class(label: str, start: int, options: argparse.Namespace, log: Log) -> None:
    """Draw the phantoms of a class, the first of which has the number `start`, and write them with their manifest."""
    from detector.datasets import manifest, phantoms
    from detector.files.atomic import write_together
    from detector.images import phantom

    shortcut = phantoms.Shortcut(options.shortcut, options.strength) if options.shortcut else None
    numbers = range(start, start + options.number)
    visits = [phantoms.visit_of(number, start, options.images_per_patient) for number in numbers]
    images = zip(numbers, visits, strict=True)
    drawn = {
        phantoms.name_of(number): phantoms.draw_file(label, visit, options.seed, shortcut)
        for number, visit in progress(images, options.number, f"drawing {label}", options.quiet)
    }

    def write(row: dict[str, str], target: Path) -> None:
        write_together({target: drawn[row["file"]]})

    rows = phantoms.manifest_rows(drawn, label, visits, options.seed)
    others = manifest.replace(options.output / label, rows, phantom.SOURCE, write, [manifest.BOXES])
    log.info(f"{options.output / label}: {len(rows)} phantoms")
    if others:
        log.info(f"  left alone, since no build put it there: {', '.join(others)}")


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
