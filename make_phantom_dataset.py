"""Draw a data set of synthetic chest radiographs, for a first run without any download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector.cli.arguments import CommonOptions, flag, parse, seed_flag, whole_number
from detector.cli.output import Log, progress
from detector.cli.run import run
from detector.datasets import manifest
from detector.datasets.phantoms import draw
from detector.files.atomic import require_folder, write_together
from detector.images import shortcuts
from detector.images.phantom import SOURCE

DESCRIPTION = "Draw synthetic chest radiographs of two classes, covid and normal."
EXAMPLE = "python make_phantom_dataset.py -o demo/dataset -n 25"


@dataclass(frozen=True)
class PhantomOptions(CommonOptions):
    """What make_phantom_dataset.py is asked for."""

    output: Path = flag("outputs", Path("demo/dataset"), "data set to make", "-o", metavar="DIR")
    number: int = flag("selection", 25, "phantoms of each class", "-n", type=whole_number(1), metavar="N")
    images_per_patient: int = flag(
        "selection",
        1,
        "radiographs of the same patient, with another position, exposure and noise",
        type=whole_number(1),
        metavar="K",
    )
    shortcut: str | None = flag(
        "selection",
        None,
        f"add this to the images of covid, as a scanner or an archive would: {', '.join(shortcuts.KINDS)}",
        choices=[*shortcuts.KINDS],
        metavar="KIND",
    )
    strength: int = flag("selection", 2, "of the shortcut: weak, moderate, strong", type=int, choices=[1, 2, 3])
    seed: int = seed_flag()


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(PhantomOptions, DESCRIPTION, EXAMPLE, arguments)
    classes = {"covid": 0, "normal": options.number}  # the number of the first phantom
    for label in classes:
        require_folder(options.output / label)
    for label, start in classes.items():
        write_class(label, range(start, start + options.number), options)
    return 0


def write_class(label: str, numbers: range, options: PhantomOptions) -> None:
    """Draw the phantoms of a class and write them with their manifest."""
    log, files, rows = Log(options.quiet), dict[str, bytes](), []
    for number in progress(numbers, len(numbers), f"drawing {label}", options.quiet):
        patient = number - (number - numbers.start) % options.images_per_patient
        file, row = draw(label, number, patient, options.seed, options.shortcut, options.strength)
        files[row["file"]] = file
        rows.append(row)
    others = manifest.replace(
        options.output / label, rows, SOURCE, lambda row, target: write_together({target: files[row["file"]]})
    )
    log.info(f"{options.output / label}: {len(rows)} phantoms")
    if others:
        log.info(f"  left alone, since no build put it there: {', '.join(others)}")


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
