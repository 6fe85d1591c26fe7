"""Draw a data set of synthetic chest radiographs, for a first run without any download."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from detector.cli.arguments import CommonOptions, flag, parse, seed_flag, whole_number
from detector.cli.output import Log, progress
from detector.cli.run import run
from detector.collections.boxes import Box, as_cell
from detector.datasets import manifest
from detector.files.atomic import require_folder, write_together
from detector.images import phantom, shortcuts
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

    def one(number: int) -> tuple[bytes, dict[str, str]]:
        patient = number - (number - numbers.start) % options.images_per_patient
        return draw(label, number, patient, options.seed, options.shortcut, options.strength)

    log = Log(options.quiet)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        drawn = [*progress(pool.map(one, numbers), len(numbers), f"drawing {label}", options.quiet)]
    files, rows = {row["file"]: file for file, row in drawn}, [row for _, row in drawn]
    others = manifest.replace(
        options.output / label, rows, SOURCE, lambda row, target: write_together({target: files[row["file"]]})
    )
    log.info(f"{options.output / label}: {len(rows)} phantoms")
    if others:
        log.info(f"  left alone, since no build put it there: {', '.join(others)}")


def draw(
    label: str, number: int, patient: int, seed: int, shortcut: str | None = None, strength: int = 2
) -> tuple[bytes, dict[str, str]]:
    """Return a phantom's PNG file, the same on every run, and its row of the manifest.

    The class covid has opacities, and the shortcut; a patient is the seed and the number of the first phantom.
    """
    positive, own, visit = label == "covid", seed * 10**6 + patient, number - patient
    pixels = phantom.draw(positive, own, visit)
    if shortcut and positive:
        pixels = shortcuts.plant(pixels, shortcut, strength, own)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), {
        "file": f"phantom-{number:05d}.png",
        "label": label,
        "patient": f"phantom-{seed}-{patient:05d}",
        "view": "PA",
        "finding": "COVID-19" if positive else "No Finding",
        "source": SOURCE,
        "site": SOURCE,
        "licence": "CC0 1.0",
        "sha256": hashlib.sha256(file.getvalue()).hexdigest(),
        "boxes": as_cell([Box(*box) for box in phantom.draw_boxes(own, visit)] if positive else []),
    }


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
