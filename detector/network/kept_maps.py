"""The last convolution's maps of a run's first images: Grad-CAM of these needs no second pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.images.masks import NetworkInput

MOST = 64  # images: 25 MiB


class KeptMaps:
    """The last convolution's maps of the first whole images that passed through the network in float32, in memory.

    Parameters
    ----------
    most : int
        Images; 0 where no Grad-CAM reads them.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._maps: dict[NetworkInput, np.ndarray] = {}

    def __contains__(self, one: NetworkInput) -> bool:
        return one in self._maps

    def add(self, inputs: Sequence[NetworkInput], precision: str, maps: np.ndarray) -> None:
        """Keep maps (n, 14, 14, 512), as long as there is room; Grad-CAM needs none of rotated or rounded copies."""
        for one, values in zip(inputs, maps, strict=True):
            if precision == "float32" and not one.angle and not one.part and len(self._maps) < self.most:
                self._maps[one] = values

    def of(self, inputs: Sequence[NetworkInput]) -> np.ndarray:
        """Return the maps of inputs that are all kept, (n, 14, 14, 512)."""
        return np.stack([self._maps[one] for one in inputs])
