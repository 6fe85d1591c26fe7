"""The last convolution's maps of a run's first images: Grad-CAM of these needs no second pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.images.network_input import NetworkInput

MOST = 64  # images: 25 MiB


class KeptMaps:
    """The last convolution's maps of the first images that passed through the network in float32, in memory."""

    def __init__(self) -> None:
        self._maps: dict[NetworkInput, np.ndarray] = {}

    def add(self, inputs: Sequence[NetworkInput], precision: str, maps: np.ndarray) -> None:
        """Keep maps (n, 14, 14, 512), as long as there is room; those of rotated or rounded copies are not needed."""
        for one, values in zip(inputs, maps, strict=True):
            if precision == "float32" and not one.angle and len(self._maps) < MOST:
                self._maps[one] = values

    def of(self, inputs: Sequence[NetworkInput]) -> np.ndarray | None:
        """Return the maps of inputs, (n, 14, 14, 512); None if any is missing."""
        if any(one not in self._maps for one in inputs):
            return None
        return np.stack([self._maps[one] for one in inputs])
