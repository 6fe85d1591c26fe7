"""Draw a data set of synthetic chest radiographs, for a first run without any download."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.command_line import Parser, Story, add_common, progress, run, whole_number

EXAMPLE = "python make_phantom_dataset.py -o demo/dataset -n 25"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Draw synthetic chest radiographs of two classes, covid and normal.", EXAMPLE)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo/dataset"), metavar="DIR", help="data set to make"
    )
    parser.add_argument("-n", "--number", type=whole_number(1), default=25, metavar="N", help="phantoms of each class")
    add_common(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    story = Story(options.quiet)

    from detector import manifest, phantom
    from detector.files import require_folder, write_whole

    for label in phantom.CLASSES:
        require_folder(options.output / label)
    for index, label in enumerate(phantom.CLASSES):
        numbers = range(index * options.number, (index + 1) * options.number)
        drawn = {
            f"phantom-{number:05d}.png": phantom.encode(phantom.draw(label == "covid", options.seed * 10**6 + number))
            for number in progress(numbers, options.number, f"drawing {label}", options.quiet)
        }
        rows = phantom.manifest_rows(drawn, label)
        others = manifest.replace(
            options.output / label, rows, lambda row, target, drawn=drawn: write_whole(drawn[row["file"]], target)
        )
        story.tell(f"{options.output / label}: {len(rows)} phantoms")
        if others:
            story.tell(f"  left alone, since no build put it there: {', '.join(others)}")
    return 0


if __name__ == "__main__":
    run(main)
