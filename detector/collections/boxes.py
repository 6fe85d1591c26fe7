"""Boxes that radiologists drew around opacities, as collections list them and as a manifest has them.

In a manifest a box is ``x y width height`` in fractions of the image's width and height, from its upper left corner;
several are separated by semicolons: ``0.1 0.2 0.25 0.4; 0.6 0.25 0.3 0.5``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from detector import InputError
from detector.files.values import number

KEYS = ("x", "y", "width", "height")


class Box(NamedTuple):
    """A box: the upper left corner, width and height, in pixels or in fractions of the image."""

    x: float
    y: float
    width: float
    height: float


def parse_listed(text: str, where: str) -> tuple[Box, ...]:
    """Return the boxes of a cell such as ``[{'x': 10, 'y': 20, 'width': 30, 'height': 40}]``; errors say `where`."""
    try:
        listed = [[str(one.get(key, "")) for key in KEYS] for one in json.loads(text.replace("'", '"') or "[]")]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{where} is not a list of boxes; correct it") from None
    return tuple(checked(cells, where) for cells in listed)


def checked(cells: Sequence[str], where: str) -> Box:
    """Return a box of its cells; errors say `where`."""
    numbers = [value for cell in cells if (value := number(cell)) is not None]
    if not len(numbers) == len(cells) == len(KEYS) or min(numbers[2:]) <= 0:
        raise InputError(
            f"{where} has a box that is not x y width height ({' '.join(cells)[:60]!r}); correct it, or clear the cell"
        )
    return Box(*numbers)


def in_fractions(boxes: Sequence[Box], width: int, height: int) -> list[Box]:
    """Return boxes in pixels as fractions of an image of this size, cut at its border; none that lies beyond it."""
    corners = [
        (max(x, 0.0), max(y, 0.0), min(x + wide, float(width)), min(y + high, float(height)))
        for x, y, wide, high in boxes
    ]
    return [
        Box(left / width, top / height, (right - left) / width, (bottom - top) / height)
        for left, top, right, bottom in corners
        if right > left and bottom > top
    ]


def as_cell(boxes: Sequence[Box]) -> str:
    """Return boxes in fractions as a manifest has them."""
    return "; ".join(f"{box.x:.5f} {box.y:.5f} {box.width:.5f} {box.height:.5f}" for box in boxes)


def from_cell(cell: str, where: str) -> tuple[Box, ...]:
    """Return the boxes of a manifest's cell, in fractions of the image; errors say `where`."""
    boxes = tuple(checked(part.split(), where) for part in cell.split(";") if part.strip())
    if any(min(box.x, box.y) < 0 or max(box.x + box.width, box.y + box.height) > 1.0001 for box in boxes):
        raise InputError(
            f"{where} has a box that does not lie within the image, from 0 to 1 ({cell[:60]!r}); correct it, or clear "
            "the cell"
        )
    return boxes
