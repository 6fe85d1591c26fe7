"""Shortcuts to plant into radiographs: what scanners, hospitals and archives leave on an image, and no disease does.

For tests and lessons: a model separates a class that carries such a thing for the wrong reason.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

STRENGTHS = (1, 2, 3)  # weak, moderate, strong


def plant(image: np.ndarray, kind: str, strength: int, seed: int) -> np.ndarray:
    """Return an image, (height, width), uint8, with a shortcut planted: a key of `KINDS`, of strength 1 to 3.

    `seed` is that of what varies from image to image.
    """
    change, values = KINDS[kind]
    changed = change(image, values[STRENGTHS.index(strength)], np.random.default_rng(seed))
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)


def _sharpen(image: np.ndarray, amount: float, generator: np.random.Generator) -> np.ndarray:
    image = image.astype(np.float32)
    return image + amount * (image - cv2.GaussianBlur(image, (0, 0), 2.0))


def _jpeg(image: np.ndarray, quality: float, generator: np.random.Generator) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def _mark(image: np.ndarray, side: float, generator: np.random.Generator) -> np.ndarray:
    """A lead letter beside a shoulder, a little elsewhere on each image."""
    height, width = image.shape
    row, column = int(generator.uniform(0.12, 0.2) * height), int(generator.uniform(0.03, 0.08) * width)
    scale, thickness = side * height / 22, max(1, round(side * height / 9))
    return cv2.putText(
        image.copy(), "R", (column, row), cv2.FONT_HERSHEY_SIMPLEX, scale, (255.0,), thickness, cv2.LINE_AA
    )


def _border(image: np.ndarray, width: float, generator: np.random.Generator) -> np.ndarray:
    """A black border, as collimators and page scanners leave it."""
    edge = max(1, round(width * min(image.shape)))
    return np.pad(image[edge:-edge, edge:-edge], edge)


def _crop(image: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """The image's middle, brought back to its size."""
    top, left = (round(share * side) for side in image.shape)
    return cv2.resize(image[top:-top, left:-left], image.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _vignette(image: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    return image * (1 - share * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) / 0.5)


def _rotate(image: np.ndarray, degrees: float, generator: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


# What each does, and how much of it at the three strengths: pixels of 512, exponents, shares of white, grey levels,
# JPEG's quality, shares of the side, degrees.
KINDS: dict[str, tuple[Callable[[np.ndarray, float, np.random.Generator], np.ndarray], tuple[float, float, float]]] = {
    "blur": (lambda image, sigma, _: cv2.GaussianBlur(image, (0, 0), sigma), (0.6, 1.2, 2.0)),
    "sharpening": (_sharpen, (0.3, 0.8, 1.5)),
    "gamma": (lambda image, exponent, _: 255 * (image / 255) ** exponent, (1.1, 1.25, 1.6)),
    "brightness": (lambda image, amount, _: image + 255 * amount, (0.03, 0.08, 0.15)),
    "noise": (
        lambda image, deviation, generator: image + generator.normal(0, deviation, image.shape),
        (2.0, 5.0, 10.0),
    ),
    "jpeg": (_jpeg, (60, 30, 12)),
    "mark": (_mark, (0.03, 0.05, 0.08)),
    "border": (_border, (0.008, 0.02, 0.05)),
    "cropping": (_crop, (0.02, 0.05, 0.1)),
    "vignette": (_vignette, (0.1, 0.25, 0.5)),
    "rotation": (_rotate, (2.0, 5.0, 10.0)),
}
