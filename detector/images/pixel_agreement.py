"""Whether two images show the same radiograph, from their pixels: what a coarse hash cannot decide."""

from __future__ import annotations

import numpy as np

from detector.images.perceptual_hash import disc, local_detail

# Side in pixels and steps, from coarse to fine. In the last, noise and small vessels of two patients differ.
LEVELS = ((32, 60), (64, 40), (128, 30))
RADIUS = 0.4  # of the disc that is compared, in sides: a rotation changes the corners
FEWEST_PIXELS = 2000
# Of 903 radiographs (make bench-duplicates) no two patients pass the hash, and other radiographs of one patient reach
# 0.935. Of 80 phantoms, which are more alike than people, others reach 0.941. Copies mostly reach 0.97; those that were
# reduced to a part of the canvas have lost detail and reach 0.92 and more.
SAME_RADIOGRAPH = 0.945


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
        small, moved = local_detail(template, side), local_detail(other, side)
        centre = np.full(2, (side - 1) / 2)
        in_pixels = affine.copy()
        in_pixels[:, 2] = affine[:, 2] * side + centre - affine[:, :2] @ centre
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, 1e-4)
        try:
            _, found = cv2.findTransformECC(
                small, moved, in_pixels.astype(np.float32), cv2.MOTION_AFFINE, stop, _inside(side, RADIUS + 0.05), 3
            )
        except cv2.error:
            return -1.0  # it does not converge
        affine = np.asarray(found, float)
        affine[:, 2] = (affine[:, 2] - centre + affine[:, :2] @ centre) / side
    size, how = (side, side), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid, covered = (cv2.warpAffine(image, found, size, flags=how) for image in (moved, np.ones_like(moved)))
    inside = (covered > 0.99) & (_inside(side, RADIUS) > 0)
    if inside.sum() < FEWEST_PIXELS:
        return -1.0
    return float(np.corrcoef(np.stack([laid[inside], small[inside]]).astype(np.float64))[0, 1])


def _inside(side: int, radius: float) -> np.ndarray:
    return (disc(radius, 1e-6, side) > 0).astype(np.uint8)
