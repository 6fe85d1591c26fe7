"""Example images of an audit: what the network was shown in each experiment, and where Grad-CAM lies best and worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from detector.audit.context import Audit
from detector.audit.evidence import BORDER, FULL, LUNG_MASK, LUNGS_ALONE, MASKED_OUT
from detector.audit.localisation import Localisation, LocatedMap
from detector.images.inspect import MARGIN
from detector.images.lungs import describe
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion

EACH = 2  # example images of each side
MOST_LOCATED = 3  # images with the most, and with the least saliency in boxes
EDGE = "its border"
LocatedImage = tuple[LocatedMap, np.ndarray, str]  # with its pixels (224, 224, 3), uint8, and its file
PARTS = {
    FULL: ("the full image", None),
    MASKED_OUT: ("the image with its lungs masked out", WITHOUT_LUNGS),
    LUNGS_ALONE: ("the lungs only", LUNGS_ONLY),
    LUNG_MASK: ("the shape of the lung mask, and no pixel of the image", OUTLINE),
}


@dataclass(frozen=True)
class ExampleImage:
    """An example image.

    Attributes
    ----------
    pixels : ndarray of shape (224, 224, 3), uint8
        As the network sees them.
    label : str
        Its class.
    text : str
        For those who do not see it.
    """

    pixels: np.ndarray
    label: str
    text: str


@dataclass(frozen=True)
class Example:
    """What the network was shown in an experiment."""

    text: str
    images: list[ExampleImage]


@dataclass(frozen=True)
class Examples:
    """The example images of an audit.

    Attributes
    ----------
    by_experiment : mapping of str to Example
    best, worst : list of LocatedImage
        Those whose saliency lies in boxes most, and least; empty where no image has boxes.
    """

    by_experiment: Mapping[str, Example] = field(default_factory=dict)
    best: Sequence[LocatedImage] = ()
    worst: Sequence[LocatedImage] = ()


def find_examples(audit: Audit, ids: Sequence[str], localisation: Localisation) -> Examples:
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
    ordered = sorted(localisation.images, key=lambda one: (-one.in_boxes, one.row))
    located = [
        (one, audit.extractor.pixels(one.row), audit.extractor.dataset.images[one.row].file)
        for one in (*ordered[:MOST_LOCATED], *ordered[-MOST_LOCATED:])
    ]
    return Examples(found, located[:MOST_LOCATED], located[MOST_LOCATED:])


def _with_lungs(audit: Audit, rows: np.ndarray) -> np.ndarray:
    """Return the first images in which lungs were found; all were looked at before, so that none is computed now."""
    few = rows[: 4 * EACH]
    return few[[describe(mask).found for mask in audit.extractor.lungs(few)]] if len(few) else few


def _shown(audit: Audit, row: int, what: str, part: str | None = None) -> ExampleImage:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row, Occlusion(part) if part else None)
    if what == EDGE:
        margin = round(len(pixels) * MARGIN)
        pixels = pixels.copy()
        pixels[margin:-margin, margin:-margin] = 0
    return ExampleImage(pixels, image.label, f"{image.label}: {image.file}, {what}")
