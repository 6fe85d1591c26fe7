"""What features are divided by before a linear head is fitted to them."""

from __future__ import annotations

import numpy as np

# Of the median standard deviation of all features; a smaller one is raised to this. A channel that is silent inside the
# lungs of all training images has a mean of about 1e-14 there, which comes from the weight of the pixels outside. If it
# were divided by its own spread, the first image in which it is not silent would lie 1e13 standard deviations away.
LEAST_SPREAD = 0.1


def spread(features: np.ndarray) -> np.ndarray:
    """Return what each feature is divided by: its standard deviation, no less than a tenth of the median one.

    Reference: V. G. Tusher, R. Tibshirani, G. Chu, "Significance analysis of microarrays applied to the ionizing
    radiation response", PNAS 98 (2001), who add such a constant for genes that are hardly expressed.

    Parameters
    ----------
    features : ndarray of shape (n, width)

    Returns
    -------
    ndarray of shape (width,)
        Infinite where a feature is constant or differs by rounding only: it holds no information.
    """
    scale = features.std(axis=0, dtype=float)
    varies = scale > 1e-6 * np.abs(features.mean(axis=0, dtype=float))
    floor = LEAST_SPREAD * np.median(scale[varies]) if varies.any() else 0.0
    return np.where(varies, np.maximum(scale, floor), np.inf)
