"""Lay one small picture over another, and measure how well they agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.images.perceptual_hash import CENTRE, SIDE, SPEEDS, cosines, disc

SMOOTHING = ((1.0, 6), (0.5, 4), (0.0, 4))  # standard deviation in pixels, and steps: from coarse to fine
DAMPING = 1.003
INSIDE = disc(0.40, 1e-6) > 0
PLACES = np.stack(np.nonzero(INSIDE)[::-1]) - CENTRE  # x and y of the pixels that are compared
EVERYWHERE = cosines(*np.mgrid[:SIDE, :SIDE]).T


class Agreement(NamedTuple):
    """How well two pictures agree.

    Attributes
    ----------
    correlation : float
        Of their pixels, in -1…1.
    angle : float
        By which they are rotated against each other, in degrees.
    """

    correlation: float
    angle: float


def picture(coefficients: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Return the picture that coefficients of a hash stand for.

    Parameters
    ----------
    coefficients : ndarray of shape (512,), float32
    scale : float, default=1.0
        At least 1. Detail that an image which is smaller by this factor no longer has is left out.

    Returns
    -------
    ndarray of shape (32, 32), float32
        Fast changes are stronger than in the image: they differ between patients, slow ones do less.
    """
    return ((coefficients * (SPEEDS * scale <= SPEEDS[-1])) @ EVERYWHERE).reshape(SIDE, SIDE)


def agreement(template: np.ndarray, other: np.ndarray, start: np.ndarray) -> Agreement:
    """Lay a picture over a template by an affine map and return how well they agree.

    Reference: S. Baker and I. Matthews, "Lucas-Kanade 20 years on: a unifying framework" (2004), the inverse
    compositional algorithm, here with standardised pixels, so that brightness and contrast have no effect.

    Parameters
    ----------
    template, other : ndarray of shape (32, 32), float32
    start : ndarray of shape (3, 3)
        Where to start: the map from positions in the template to those in the other, relative to the centre.

    Returns
    -------
    Agreement
    """
    affine = start
    for deviation, steps in SMOOTHING:
        target, solve = _linearised(_blurred(template, deviation))
        smooth = _blurred(other, deviation)
        for _ in range(steps):
            change = np.eye(3)
            change[:2] += (solve @ (_sampled(smooth, affine) - target)).reshape(2, 3)
            affine = affine @ np.linalg.pinv(change)
    angle = np.degrees(np.arctan2(affine[1, 0] - affine[0, 1], affine[0, 0] + affine[1, 1]))
    return Agreement(float(_sampled(other, affine) @ _standardised(template[INSIDE])), float(angle))


def _standardised(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _blurred(pixels: np.ndarray, deviation: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(pixels, (0, 0), deviation) if deviation else pixels


def _linearised(template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a template's standardised pixels, and the matrix from a difference to the affine change against it."""
    import cv2

    inside = template[INSIDE]
    right, down = (cv2.Sobel(template, cv2.CV_32F, *order, scale=0.125)[INSIDE] for order in ((1, 0), (0, 1)))
    x, y = PLACES
    slopes = np.stack([right * x, right * y, right, down * x, down * y, down], axis=1)
    slopes /= max(float(np.linalg.norm(inside - inside.mean())), 1e-6)
    target = _standardised(inside)
    slopes -= slopes.mean(axis=0)
    slopes -= np.outer(target, target @ slopes)
    square = slopes.T @ slopes
    square[np.diag_indices(6)] *= DAMPING
    return target, np.linalg.pinv(square) @ slopes.T


def _sampled(pixels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return a picture's standardised pixels where an affine map has the pixels of the template."""
    import cv2

    matrix = affine[:2].copy()
    matrix[:, 2] += CENTRE - affine[:2, :2] @ [CENTRE, CENTRE]
    moved = cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    return _standardised(moved[INSIDE])
