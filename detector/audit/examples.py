"""Example images of an audit: what the network was shown in each experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detector.audit.context import Audit
from detector.audit.evidence import BORDER, FULL, LUNG_MASK, LUNGS_ALONE, MASKED_OUT
from detector.images.inspect import MARGIN
from detector.images.lungs import describe
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion

EACH = 2  # example images of each side
EDGE = "its border"
PARTS = {
    FULL: ("the full image", None),
    MASKED_OUT: ("the image with its lungs masked out", WITHOUT_LUNGS),
    LUNGS_ALONE: ("the lungs only", LUNGS_ONLY),
    LUNG_MASK: ("the shape of the lung mask, and no pixel of the image", OUTLINE),
}


class Example(NamedTuple):
    """What the network was shown in an experiment: in words, and images with their class and what they show."""

    text: str
    images: list[tuple[np.ndarray, str, str]]


def find_examples(audit: Audit, ids: Sequence[str]) -> dict[str, Example]:
    """Return a few images as each experiment showed them, and those whose border is most typical of their class."""
    sides = audit.own_positives(), audit.own_others()
    chosen = [row for side in sides for row in _with_lungs(audit, side)[:EACH]]
    found = {
        name: Example(f"Shown: {what}.", [_shown(audit, row, what, part) for row in chosen])
        for name, (what, part) in PARTS.items()
        if name in ids
    }
    if audit.border.possible and BORDER in ids:
        # The most confident of each side: if a shortcut is in the border, it is on these.
        scores = dict(zip(audit.sets.own.tolist(), audit.border.scores[0], strict=True))
        best = [
            *sorted(sides[0], key=lambda row: -scores[row])[:EACH],
            *sorted(sides[1], key=scores.__getitem__)[:EACH],
        ]
        text = "No network: properties of the outer 10 %. These images are predicted best; look for what they share."
        found[BORDER] = Example(text, [_shown(audit, row, EDGE) for row in best])
    return found


def _with_lungs(audit: Audit, rows: np.ndarray) -> np.ndarray:
    """Return the first images in which lungs were found; all were looked at before, so that none is computed now."""
    few = rows[: 4 * EACH]
    return few[[describe(mask).found for mask in audit.extractor.lungs(few)]] if len(few) else few


def _shown(audit: Audit, row: int, what: str, part: str | None = None) -> tuple[np.ndarray, str, str]:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row, Occlusion(part) if part else None)
    if what == EDGE:
        margin = round(len(pixels) * MARGIN)
        pixels = pixels.copy()
        pixels[margin:-margin, margin:-margin] = 0
    return pixels, image.label, f"{image.label}: {image.file}, {what}"
