"""A class folder of phantoms: whose each one is, its file with or without a shortcut, and its row of the manifest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.collections.boxes import Box, as_cell
from detector.images import phantom, shortcuts

POSITIVE = "covid"  # the class with opacities, and with the shortcut


@dataclass(frozen=True)
class Shortcut:
    """What the images of the positive class have beside the disease.

    Attributes
    ----------
    kind : str
        A key of `shortcuts.KINDS`.
    strength : {1, 2, 3}
    """

    kind: str
    strength: int


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


def draw_file(label: str, one: Visit, seed: int, shortcut: Shortcut | None) -> bytes:
    """Return the PNG file of a phantom, the same on every run.

    Parameters
    ----------
    label : {"covid", "normal"}
    one : Visit
    seed : int
        Of the data set.
    shortcut : Shortcut or None
        Added where the class is the positive one.
    """
    from PIL import Image

    own = seed_of(seed, one.patient)
    drawn = phantom.draw(label == POSITIVE, own, one.visit)
    if shortcut and label == POSITIVE:
        drawn = shortcuts.plant(drawn, shortcut.kind, shortcut.strength, own)
    data = io.BytesIO()
    Image.fromarray(drawn).save(data, "PNG")
    return data.getvalue()


def seed_of(seed: int, number: int) -> int:
    """Return the seed of the phantom of a number."""
    return seed * 10**6 + number


def manifest_rows(drawn: Mapping[str, bytes], label: str, visits: Sequence[Visit], seed: int) -> list[dict[str, str]]:
    """Return the manifest's rows of phantoms.

    Parameters
    ----------
    drawn : mapping of str to bytes
        Files by name.
    label : {"covid", "normal"}
    visits : sequence of Visit
        Of each.
    seed : int
        Of the data set.
    """
    return [
        {
            "file": name,
            "label": label,
            "patient": Path(name_of(one.patient)).stem,
            "view": "PA",
            "finding": "COVID-19" if label == POSITIVE else "No Finding",
            "source": phantom.SOURCE,
            "site": phantom.SOURCE,
            "licence": "CC0 1.0",
            "url": "",
            "sha256": hashlib.sha256(data).hexdigest(),
            "boxes": as_cell(boxes_of(one, label, seed)),
        }
        for (name, data), one in zip(drawn.items(), visits, strict=True)
    ]


def boxes_of(one: Visit, label: str, seed: int) -> list[Box]:
    """Return the boxes of a phantom's opacities; none of the negative class."""
    if label != POSITIVE:
        return []
    return [Box(*box) for box in phantom.draw_boxes(seed_of(seed, one.patient), one.visit)]
