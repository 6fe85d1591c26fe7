"""Draw a data set of synthetic chest radiographs, for a first run without any download."""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector.command_line.arguments import Parser, add_common, whole_number
from detector.command_line.exit_status import run
from detector.command_line.printing import Log, progress
from detector.images import shortcuts

if TYPE_CHECKING:
    import numpy as np

EXAMPLE = "python make_phantom_dataset.py -o demo/dataset -n 25"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
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
        help="add this to the images of covid, as a scanner or an archive would",
    )
    parser.add_argument(
        "--strength", type=int, choices=[1, 2, 3], default=2, help="of the shortcut: hardly seen, seen, plain"
    )
    add_common(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    log = Log(options.quiet)

    from detector.datasets import manifest
    from detector.images import phantom
    from detector.storage.files import require_folder

    for label in phantom.CLASSES:
        require_folder(options.output / label)
    for index, label in enumerate(phantom.CLASSES):
        start = index * options.number
        numbers = range(start, start + options.number)
        visits = [visit_of(number, start, options.images_per_patient) for number in numbers]
        images = zip(numbers, visits, strict=True)
        drawn = {
            name_of(number): encode(draw_image(label, visit, options))
            for number, visit in progress(images, options.number, f"drawing {label}", options.quiet)
        }
        boxes = [
            phantom.draw_boxes(seed_of(options.seed, one.patient), one.visit) if label == "covid" else []
            for one in visits
        ]
        rows = manifest_rows(drawn, label, [one.patient for one in visits], boxes)
        others = manifest.replace(
            options.output / label,
            rows,
            phantom.SOURCE,
            writer_of(drawn),
            [manifest.BOXES],
        )
        log.info(f"{options.output / label}: {len(rows)} phantoms")
        if others:
            log.info(f"  left alone, since no build put it there: {', '.join(others)}")
    return 0


def writer_of(drawn: dict[str, bytes]) -> Callable[[dict[str, str], Path], None]:
    """Return a function that writes the file of a manifest's row to a path, given the files' bytes by name."""
    from detector.storage.files import write_together

    def write(row: dict[str, str], target: Path) -> None:
        write_together({target: drawn[row["file"]]})

    return write


@dataclass(frozen=True)
class Visit:
    """A radiograph of a patient: the number of the patient's first phantom, and which of the patient's it is."""

    patient: int
    visit: int


def visit_of(number: int, start: int, images_per_patient: int) -> Visit:
    """Return whose phantom has a number, where those of a class begin at `start`."""
    visit = (number - start) % images_per_patient
    return Visit(number - visit, visit)


def name_of(number: int) -> str:
    """Return the file name of the phantom of a number."""
    return f"phantom-{number:05d}.png"


def draw_image(label: str, one: Visit, options: argparse.Namespace) -> np.ndarray:
    """Draw a phantom, with the shortcut that is asked for where it has COVID-19."""
    from detector.images import phantom

    seed = seed_of(options.seed, one.patient)
    drawn = phantom.draw(label == "covid", seed, one.visit)
    if options.shortcut and label == "covid":
        return shortcuts.plant(drawn, options.shortcut, options.strength, seed)
    return drawn


def seed_of(seed: int, number: int) -> int:
    """Return the seed of the phantom of a number."""
    return seed * 10**6 + number


def encode(pixels: np.ndarray) -> bytes:
    """Return a phantom as the bytes of a PNG file, the same on every run."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def manifest_rows(
    drawn: dict[str, bytes],
    label: str,
    patients: Sequence[int],
    boxes: Sequence[Sequence[tuple[float, float, float, float]]],
) -> list[dict[str, str]]:
    """Return the manifest's rows of phantoms.

    Parameters
    ----------
    drawn : dict of str to bytes
        Files by name.
    label : str
    patients : sequence of int
        Of each phantom, the number of its patient's first one.
    boxes : sequence of sequence of (float, float, float, float)
        Of the opacities of each.
    """
    from detector.collections.boxes import Box, as_cell
    from detector.images import phantom

    return [
        {
            "file": name,
            "label": label,
            "patient": Path(name_of(patient)).stem,
            "view": "PA",
            "finding": "COVID-19" if label == "covid" else "No Finding",
            "source": phantom.SOURCE,
            "site": phantom.SOURCE,
            "licence": "CC0 1.0",
            "url": "",
            "sha256": hashlib.sha256(data).hexdigest(),
            "boxes": as_cell([Box(*box) for box in opacities]),
        }
        for (name, data), patient, opacities in zip(drawn.items(), patients, boxes, strict=True)
    ]


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
