"""What the base is to see of one image file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.images.lungs import unpacked
from detector.images.occlusion import Occlusion
from detector.images.rotation import rotate, rotate_mask


@dataclass(frozen=True)
class NetworkInput:
    """What the base is to see of one image file; plain values, so that another machine can make it, too.

    Attributes
    ----------
    path : Path
    digest : str
        SHA-256 of the file.
    angle : float
        Rotation in degrees.
    occlusion : str
        Names what is hidden, and by which mask; empty for nothing.
    part : str
        What is shown, as `Occlusion` has it; empty for everything.
    mask : bytes
        The lungs, as `lungs.packed` returns them; empty where nothing is hidden.
    """

    path: Path
    digest: str
    angle: float = 0.0
    occlusion: str = ""
    part: str = ""
    mask: bytes = b""

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the base sees of the file's pixels, (224, 224, 3), uint8: a part of it black, then rotated."""
        if self.part:
            pixels = Occlusion(self.part).apply(pixels, unpacked(self.mask))
        return rotate(pixels, self.angle)

    def region(self) -> np.ndarray | None:
        """Return what is left of an image of which a part is hidden, (224, 224), bool; None of one that is whole.

        Pooling "inside the lungs" pools over it: a black part has no features of its own. The outline is an image of
        its own, of which nothing is hidden.
        """
        if not self.part:
            return None
        return rotate_mask(Occlusion(self.part).visible(unpacked(self.mask)), self.angle)
