"""The K rotated copies of an image, drawn from its content and the seed."""

from __future__ import annotations

import numpy as np

DEGREES = 15.0


def angles(digest: str, copies: int, seed: int, degrees: float = DEGREES) -> list[float]:
    """Draw the angles by which an image is rotated.

    They depend on nothing but the image and the seed: not on the other images, nor on how many copies are asked for,
    so that more copies keep those that are computed already.

    Parameters
    ----------
    digest : str
        SHA-256 of the image, hexadecimal.
    copies : int
        How many angles.
    seed : int
    degrees : float, default=15.0
        Angles are uniform in ±`degrees`.

    Returns
    -------
    list of float
        In degrees, counter-clockwise.
    """
    generator = np.random.Generator(np.random.PCG64([seed, int(digest, 16)]))
    return [float(angle) for angle in generator.uniform(-degrees, degrees, copies)]


def rotate_mask(mask: np.ndarray, angle: float) -> np.ndarray:
    """Rotate a mask as `rotate` does an image, shape (height, width), bool."""
    return rotate(np.repeat(255 * mask[..., None].astype(np.uint8), 3, axis=2), angle)[..., 0] > 127


def rotate(pixels: np.ndarray, angle: float) -> np.ndarray:
    """Rotate an image about its centre; what comes in from outside repeats the border.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    angle : float
        In degrees, counter-clockwise; 0 returns the image as it is.

    Returns
    -------
    ndarray of the same shape and type
    """
    if angle == 0.0:
        return pixels
    import cv2

    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
