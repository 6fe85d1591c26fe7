"""Describe an image by 512 coarse cosine coefficients, which show whether two files hold the same radiograph."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SIDE = 32  # pixels of the picture that is described
SLOWEST = 3.0  # half waves of a side: what changes more slowly is exposure and outline, alike in all patients
COUNT, LEVELS = 512, 16  # coefficients, and the values that each may have: 4 bits
BYTES = COUNT // 2
WIDEST = 2.5  # standard deviations that the levels reach to
RADIUS = 0.45  # of the disc that is described, in sides: a rotation changes the corners
LOCAL = 0.04  # standard deviation of the blur that is subtracted, in sides
NOISE = 3.0  # grey values: a local contrast below it is not amplified
CENTRE = (SIDE - 1) / 2


def _chosen() -> tuple[np.ndarray, np.ndarray]:
    speed = np.hypot(*np.mgrid[:SIDE, :SIDE]).ravel()
    chosen = np.argsort(np.where(speed < SLOWEST, np.inf, speed), kind="stable")[:COUNT]
    return np.stack([chosen // SIDE, chosen % SIDE]), speed[chosen].astype(np.float32)


# Half waves of each coefficient, downwards and to the right; and how many along its own direction, slowest first.
WAVES, SPEEDS = _chosen()


def disc(radius: float, soft: float, side: int = SIDE) -> np.ndarray:
    """Return a disc in the middle of a picture that fades out at its edge, shape (side, side), in 0…1.

    Parameters
    ----------
    radius, soft : float
        Where it has faded to a half, and within what width it fades, in sides of the picture.
    side : int
        In pixels.
    """
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.clip((radius + soft / 2 - np.hypot(y, x) / side) / soft, 0.0, 1.0).astype(np.float32)


def local_detail(grey: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return an image without its slow changes of brightness, its local contrast made equal.

    Parameters
    ----------
    grey : ndarray of shape (height, width), uint8
    side : int
        To which it is reduced first, in pixels.

    Returns
    -------
    ndarray of shape (side, side), float32
    """
    import cv2

    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    fast = cv2.subtract(small, cv2.GaussianBlur(small, (0, 0), LOCAL * side))
    contrast = np.sqrt(cv2.GaussianBlur(cv2.multiply(fast, fast), (0, 0), 2 * LOCAL * side))
    return np.asarray(fast / (contrast + NOISE), np.float32)


def cosines(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the value of each coefficient's cosine at positions in pixels, shape (positions, 512)."""
    numbers = np.arange(SIDE) * np.pi / SIDE
    down, right = (np.cos((place.ravel()[:, None] + 0.5) * numbers).astype(np.float32) for place in (rows, columns))
    return down[:, WAVES[0]] * right[:, WAVES[1]]


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return the perceptual hash of an image.

    The image is reduced to 32 × 32. Slow changes of brightness are subtracted and local contrast is made equal. A disc
    of it is described by its slowest 512 cosines, each times its frequency: images have less of fast ones.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8

    Returns
    -------
    str
        One hexadecimal digit a coefficient.
    """
    import cv2

    detail = local_detail(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    values = cv2.dct(detail * disc(RADIUS, 0.1))[WAVES[0], WAVES[1]] * SPEEDS
    values /= max(float(np.sqrt((values**2).mean())), 1e-6)
    levels = np.clip(np.floor((values / WIDEST + 1.0) * LEVELS / 2), 0, LEVELS - 1).astype(np.uint8)
    return (levels[::2] << 4 | levels[1::2]).tobytes().hex()


def as_array(hashes: Iterable[str]) -> np.ndarray:
    """Return hashes as an array of shape (n, 256), uint8."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, BYTES)


def coefficients(hashes: np.ndarray) -> np.ndarray:
    """Return the coefficients that hashes stand for.

    Parameters
    ----------
    hashes : ndarray of shape (n, 256), uint8

    Returns
    -------
    ndarray of shape (n, 512), float32
        Of norm 1 in each row.
    """
    levels = np.stack([hashes >> 4, hashes & 15], axis=-1).reshape(-1, COUNT)
    values = (levels + 0.5) * (2 / LEVELS) - 1.0
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
