"""A phantom of a data set: its file, with or without a shortcut, and its row of the manifest."""

from __future__ import annotations

import hashlib
import io

from PIL import Image

from detector.collections.boxes import Box, as_cell
from detector.images import phantom, shortcuts


def draw(
    label: str, number: int, patient: int, seed: int, shortcut: str | None = None, strength: int = 2
) -> tuple[bytes, dict[str, str]]:
    """Return a phantom's PNG file, the same on every run, and its row of the manifest.

    Parameters
    ----------
    label : {"covid", "normal"}
        The first is the class with opacities, and with the shortcut.
    number : int
        Of the data set's phantoms, over both classes.
    patient : int
        The number of the patient's first phantom.
    seed : int
        Of the data set.
    shortcut : str, optional
        One of `shortcuts.KINDS`.
    strength : {1, 2, 3}
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
        "patient": f"phantom-{patient:05d}",
        "view": "PA",
        "finding": "COVID-19" if positive else "No Finding",
        "source": phantom.SOURCE,
        "site": phantom.SOURCE,
        "licence": "CC0 1.0",
        "sha256": hashlib.sha256(file.getvalue()).hexdigest(),
        "boxes": as_cell([Box(*box) for box in phantom.draw_boxes(own, visit)] if positive else []),
    }
