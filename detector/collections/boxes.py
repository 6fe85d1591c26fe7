"""Boxes that radiologists drew around opacities, as collections list them and as a manifest has them.

In a manifest a box is ``x y width height`` in fractions of the image's width and height, from its upper left corner;
several are separated by semicolons: ``0.1 0.2 0.25 0.4; 0.6 0.25 0.3 0.5``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from detector.files.values import number

KEYS = ("x", "y", "width", "height")


@dataclass(frozen=True)
class Box:
    """A box: the upper left corner, width and height, in pixels or in fractions of the image."""

    x: float
    y: float
    width: float
    height: float


def parse_listed(text: str) -> tuple[Box, ...]:
    """Return the boxes of a cell such as ``[{'x': 10, 'y': 20, 'width': 30, 'height': 40}]``.

    Raises
    ------
    ValueError
        If it is no list of boxes, with what is wrong.
    """
    try:
        listed = json.loads(text.replace("'", '"') or "[]")
    except (ValueError, RecursionError):
        raise ValueError("is not a list of boxes") from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError("is not a list of boxes")
    return tuple(checked(*(str(one.get(key, "")) for key in KEYS)) for one in listed)


def checked(*cells: str) -> Box:
    """Return a box of four cells.

    Raises
    ------
    ValueError
        If one is not a number, or the width or height is not positive.
    """
    numbers = []
    for key, cell in zip(KEYS, cells, strict=True):
        value = number(cell)
        if value is None:
            raise ValueError(f"has a box whose {key} is not a number ({cell.strip()[:40]!r})")
        numbers.append(value)
    box = Box(*numbers)
    if box.width <= 0 or box.height <= 0:
        raise ValueError("has a box without width or height")
    return box


def in_fractions(boxes: Sequence[Box], width: int, height: int) -> tuple[Box, ...]:
    """Return boxes in fractions of an image, cut at its border; one that lies beyond it is left out.

    Parameters
    ----------
    boxes : sequence of Box
        In pixels.
    width, height : int
        Of the image that the boxes were drawn on.
    """
    kept = []
    for box in boxes:
        left, top = max(box.x, 0.0), max(box.y, 0.0)
        right, bottom = min(box.x + box.width, float(width)), min(box.y + box.height, float(height))
        if right > left and bottom > top:
            kept.append(Box(left / width, top / height, (right - left) / width, (bottom - top) / height))
    return tuple(kept)


def as_cell(boxes: Sequence[Box]) -> str:
    """Return boxes in fractions as a manifest has them."""
    return "; ".join(f"{box.x:.5f} {box.y:.5f} {box.width:.5f} {box.height:.5f}" for box in boxes)


def from_cell(cell: str) -> tuple[Box, ...]:
    """Return the boxes of a manifest's cell, in fractions of the image.

    Raises
    ------
    ValueError
        If a box has not four numbers, or does not lie within the image.
    """
    boxes = []
    for part in filter(None, (part.strip() for part in cell.split(";"))):
        cells = part.split()
        if len(cells) != len(KEYS):
            raise ValueError(f"has a box that is not x y width height ({part[:60]!r})")
        box = checked(*cells)
        if min(box.x, box.y) < 0 or max(box.x + box.width, box.y + box.height) > 1.0001:
            raise ValueError(f"has a box that does not lie within the image, from 0 to 1 ({part[:60]!r})")
        boxes.append(box)
    return tuple(boxes)
