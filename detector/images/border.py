"""What the edge of an image gives away, where no lung is: its exposure, sharpness, noise and borders, as numbers."""

from __future__ import annotations

import numpy as np

SIDE = 512  # pixels that an image is brought to, so that sharpness is measured on one scale
MARGIN = 0.1  # of the side, along each edge
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
FINE, COARSE = 1.0, 2.5  # pixels: standard deviations of the Gaussians whose difference is the band of middle detail
BLACK, WHITE = 2, 253  # grey values up to and from which a pixel counts as black or white
NAMES = (
    *(f"percentile {p} of grey" for p in PERCENTILES),
    "median of fine detail",
    "deviation of fine detail",
    "deviation of middle detail",
    "fine detail over middle detail",
    "share of black",
    "share of white",
)


def border_properties(pixels: np.ndarray) -> list[float]:
    """Return properties of the outer tenth of an image.

    Fine detail is what a Gaussian of 1 px removes at 512 × 512 pixels; middle detail lies between Gaussians of 1 and of
    2.5 px. A scanner, an exposure and a compression leave their marks on both wherever they are measured.

    Parameters
    ----------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8

    Returns
    -------
    list of 13 float
        In the order of `NAMES`; grey values in [0, 1].
    """
    import cv2

    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    interpolation = cv2.INTER_AREA if min(grey.shape) >= SIDE else cv2.INTER_LINEAR
    scaled = cv2.resize(grey, (SIDE, SIDE), interpolation=interpolation).astype(np.float32)
    smooth, smoother = (cv2.GaussianBlur(scaled, (0, 0), sigma) for sigma in (FINE, COARSE))
    edge = _edge()
    grey, fine, middle = (layer[edge] / 255.0 for layer in (scaled, scaled - smooth, smooth - smoother))
    properties = [
        *np.percentile(grey, PERCENTILES),
        np.median(np.abs(fine)),
        fine.std(),
        middle.std(),
        fine.std() / max(float(middle.std()), 1e-6),
        (scaled[edge] <= BLACK).mean(),
        (scaled[edge] >= WHITE).mean(),
    ]
    return [round(float(value), 6) for value in properties]


def _edge() -> np.ndarray:
    """Return where the outer tenth is, shape (512, 512), bool."""
    edge = np.ones((SIDE, SIDE), bool)
    margin = round(SIDE * MARGIN)
    edge[margin:-margin, margin:-margin] = False
    return edge
