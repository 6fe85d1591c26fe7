"""Boxes and lung masks as regions of an image, and how much of a heat map lies in them.

An image is squashed to 224 × 224 pixels whatever its shape, and so is a box in fractions of its width and height.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from detector.images.radiographs import SIZE

Rectangle = tuple[float, float, float, float]  # x, y, width, height in fractions of the image


def boxed(boxes: Iterable[Rectangle], size: int = SIZE) -> np.ndarray:
    """Return which pixels of a square image have their centre in a box, shape (size, size), bool."""
    centres = (np.arange(size) + 0.5) / size
    inside = np.zeros((size, size), bool)
    for x, y, width, height in boxes:
        columns, rows = (
            (start <= centres) & (centres <= start + length) for start, length in ((x, width), (y, height))
        )
        inside |= rows[:, None] & columns
    return inside


def share_inside(heat: np.ndarray, region: np.ndarray) -> float:
    """Return the share of a heat map that lies in a region.

    Parameters
    ----------
    heat : ndarray of shape (cells, cells)
        Not negative; each cell is spread evenly over its pixels.
    region : ndarray of shape (size, size), bool
        The size is a multiple of the number of cells.

    Returns
    -------
    float
        In [0, 1]; 0 where the map is 0 everywhere.
    """
    cells, side = len(heat), len(region) // len(heat)
    covered = region.reshape(cells, side, cells, side).mean(axis=(1, 3))
    total = float(heat.sum())
    return float((heat * covered).sum()) / total if total > 0 else 0.0


def highest(heat: np.ndarray) -> tuple[float, float] | None:
    """Return the centre of a heat map's highest cell, x and y in fractions; None where it is 0 everywhere."""
    if heat.max() <= 0:
        return None
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return (float(column) + 0.5) / heat.shape[1], (float(row) + 0.5) / heat.shape[0]


def in_a_box(point: tuple[float, float], boxes: Iterable[Rectangle]) -> bool:
    """Say whether a point lies in one of some boxes, their borders included."""
    x, y = point
    return any(left <= x <= left + width and top <= y <= top + height for left, top, width, height in boxes)
