"""How an image is changed before it is looked up among others: a linear map from its hash's coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detector.images.perceptual_hash import CENTRE, RADIUS, SIDE, SPEEDS, cosines, disc


class Variant(NamedTuple):
    """How an image is changed before it is looked up: mirrored, rotated (degrees), scaled, and shifted (pixels)."""

    mirrored: bool
    angle: float
    scale: float
    shift: tuple[int, int]

    def origins(self) -> np.ndarray:
        """Return the map from positions in the variant to those in the image, both relative to the centre, (3, 3).

        Mirroring comes before it and is not part of it.
        """
        turn = np.radians(self.angle)
        cosine, sine = self.scale * np.cos(turn), self.scale * np.sin(turn)
        return np.linalg.inv([[cosine, sine, self.shift[0]], [-sine, cosine, self.shift[1]], [0.0, 0.0, 1.0]])

    def pictures(self) -> np.ndarray:
        """Return the matrix from coefficients of images to the pictures of their variants, not shifted, (512, 1024)."""
        rows, columns = np.mgrid[:SIDE, :SIDE] - CENTRE
        places = np.stack([columns.ravel(), rows.ravel(), np.ones(SIDE**2)])
        x, y, _ = self._replace(shift=(0, 0)).origins() @ places
        return cosines(y + CENTRE, CENTRE + (-x if self.mirrored else x)).T / SPEEDS[:, None]


def after_shifts(shifts: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the matrix from a picture to its coefficients after each shift (right, down), (1024, 512 × shifts)."""
    (rows, columns), found = np.mgrid[:SIDE, :SIDE], []
    for right, down in shifts:
        within = np.roll(np.pad(disc(RADIUS, 0.1), 2), (-down, -right), (0, 1))[2:-2, 2:-2]
        found.append(cosines(rows + down, columns + right) * within.reshape(-1, 1) * SPEEDS)
    return np.concatenate(found, axis=1)
