"""A phantom of a data set: its file, with or without a shortcut, and its row of the manifest."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from detector.collections.boxes import Box, as_cell
from detector.images import phantom, shortcuts


@dataclass(frozen=True)
class Phantom:
    """One radiograph of a data set.

    Attributes
    ----------
    label : {"covid", "normal"}
        The first is the class with opacities, and with the shortcut.
    number : int
        Of the data set's phantoms, over both classes.
    patient : int
        The number of the patient's first phantom.
    seed : int
        Of the data set.
    """

    label: str
    number: int
    patient: int
    seed: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"phantom-{self.number:05d}.png"

    @property
    def _drawn(self) -> tuple[bool, int, int]:
        """With opacities or not, the patient's own seed, and which of the patient's radiographs it is."""
        return self.label == "covid", self.seed * 10**6 + self.patient, self.number - self.patient

    def file(self, shortcut: str | None = None, strength: int = 2) -> bytes:
        """Return the PNG file, the same on every run; with a shortcut if it is of the positive class."""
        positive, seed, visit = self._drawn
        pixels = phantom.draw(positive, seed, visit)
        if shortcut and positive:
            pixels = shortcuts.plant(pixels, shortcut, strength, seed)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "PNG")
        return data.getvalue()

    def row(self, file: bytes) -> dict[str, str]:
        """Return the manifest's row."""
        positive, seed, visit = self._drawn
        return {
            "file": self.name,
            "label": self.label,
            "patient": f"phantom-{self.patient:05d}",
            "view": "PA",
            "finding": "COVID-19" if positive else "No Finding",
            "source": phantom.SOURCE,
            "site": phantom.SOURCE,
            "licence": "CC0 1.0",
            "url": "",
            "sha256": hashlib.sha256(file).hexdigest(),
            "boxes": as_cell([Box(*box) for box in phantom.draw_boxes(seed, visit)] if positive else []),
        }
