"""Whether two images show the same radiograph, from their pixels: what a coarse hash cannot decide."""

from __future__ import annotations

import numpy as np

# Side in pixels and steps, from coarse to fine. In the last, noise and small vessels of two patients differ.
LEVELS = ((32, 60), (64, 40), (128, 30))
RADIUS = 0.4  # of the disc that is compared, in sides: a rotation changes the corners
LOCAL, NOISE = 0.04, 3.0  # as in `perceptual_hash`
FEWEST_PIXELS = 2000
# Copies of 45 radiographs and 40 phantoms (mirrored, rotated by up to 10 degrees, resized, exposed otherwise) reach
# 0.97 and more; zoomed, rotated, mirrored and compressed ones 0.91. Other phantoms that pass the hash reach 0.92.
SAME_RADIOGRAPH = 0.94


def pixel_agreement(first: np.ndarray, second: np.ndarray, mirrored: bool, angle: float) -> float:
    """Lay one image over another by an affine map and return the correlation of their local detail.

    Reference: G. D. Evangelidis, E. Z. Psarakis, "Parametric image alignment using enhanced correlation coefficient
    maximization", IEEE Transactions on Pattern Analysis and Machine Intelligence 30 (2008), as OpenCV has it.

    Parameters
    ----------
    first, second : ndarray of shape (height, width, 3), uint8
    mirrored : bool
        Whether the second may be a mirrored copy of the first.
    angle : float
        By which it may be rotated, in degrees, in either direction.

    Returns
    -------
    float
        In [-1, 1]; -1 where they cannot be laid over each other.
    """
    import cv2

    one, other = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (first, second))
    if mirrored:
        one = np.ascontiguousarray(one[:, ::-1])
    return max(_aligned(one, other, turn) for turn in ((angle, -angle) if angle else (0.0,)))


def _aligned(template: np.ndarray, other: np.ndarray, angle: float) -> float:
    import cv2

    turn = np.radians(angle)
    # From the template to the other, about the centre, in sides.
    affine = np.array([[np.cos(turn), np.sin(turn), 0.0], [-np.sin(turn), np.cos(turn), 0.0]])
    for side, steps in LEVELS:
        small, moved = _detail(template, side), _detail(other, side)
        centre = np.full(2, (side - 1) / 2)
        in_pixels = affine.copy()
        in_pixels[:, 2] = affine[:, 2] * side + centre - affine[:, :2] @ centre
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, 1e-4)
        try:
            _, found = cv2.findTransformECC(
                small, moved, in_pixels.astype(np.float32), cv2.MOTION_AFFINE, stop, _disc(side, RADIUS + 0.05), 3
            )
        except cv2.error:
            return -1.0  # it does not converge
        affine = np.asarray(found, float)
        affine[:, 2] = (affine[:, 2] - centre + affine[:, :2] @ centre) / side
    size, how = (side, side), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid, covered = (cv2.warpAffine(image, found, size, flags=how) for image in (moved, np.ones_like(moved)))
    inside = (covered > 0.99) & (_disc(side, RADIUS) > 0)
    if inside.sum() < FEWEST_PIXELS:
        return -1.0
    return float(np.corrcoef(np.stack([laid[inside], small[inside]]).astype(np.float64))[0, 1])


def _detail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return an image without its slow changes of brightness, its local contrast made equal."""
    import cv2

    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    fast = cv2.subtract(small, cv2.GaussianBlur(small, (0, 0), LOCAL * side))
    contrast = np.sqrt(cv2.GaussianBlur(cv2.multiply(fast, fast), (0, 0), 2 * LOCAL * side))
    return np.asarray(fast / (contrast + NOISE), np.float32)


def _disc(side: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return (np.hypot(y, x) < radius * side).astype(np.uint8)
