"""Copies of masked radiographs: a decoder should not mind other exposures, positions or opacities."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from detector.images.read import SIZE

COPIES = 2  # of each radiograph, beside itself and before each is mirrored
OPAQUE = 0.6  # share of the copies that get opacities: a consolidated lung is a lung


def augmented(
    radiograph: np.ndarray, inside: np.ndarray, number: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pixels (224, 224, 3), uint8, and shares of lung (224, 224), float32, of a radiograph and its copies.

    Each is mirrored, too. Copies get opacities, are rotated, moved, zoomed and stretched a little, exposed otherwise,
    blurred or noisy. After them comes an image without a chest, of a kind that the radiograph's number decides on: a
    decoder that has seen chests only finds lungs everywhere.
    """
    generator = np.random.default_rng([seed, number])
    for copy in range(COPIES + 1):
        pixels, lungs = radiograph, inside
        if copy:
            if generator.random() < OPAQUE:
                pixels = _opacified(pixels, lungs, generator)
            pixels, lungs = _moved(pixels, lungs, generator)
            pixels = _exposed(pixels, generator)
        yield pixels, lungs
        yield pixels[:, ::-1], lungs[:, ::-1]
    nothing = KINDS[number % len(KINDS)](radiograph, generator)
    yield np.ascontiguousarray(np.clip(nothing, 0, 255).astype(np.uint8)), np.zeros((SIZE, SIZE), np.float32)


def _opacified(pixels: np.ndarray, lungs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Brighten parts of the lungs towards the grey of soft tissue: patches anywhere, or a lung's whole lower part."""
    inside = np.argwhere(lungs > 0.5)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    layer = np.zeros((SIZE, SIZE))
    for _ in range(generator.integers(1, 9)):
        row, column = inside[generator.integers(len(inside))] / SIZE
        a, b = generator.uniform(0.03, 0.15, 2)
        layer += generator.uniform(0.4, 1.2) * np.exp(-(((x - column) / a) ** 2) - ((y - row) / b) ** 2)
    if generator.random() < 0.3:
        level, side = np.quantile(inside[:, 0], generator.uniform(0.5, 0.9)) / SIZE, generator.random() < 0.5
        layer += (1 / (1 + np.exp(-(y - level) / 0.02))) * ((x < 0.5) == side)
    grain = cv2.GaussianBlur(generator.normal(0, 1, (SIZE, SIZE)), (0, 0), 3.0)
    strength = np.clip(layer * (1 + 0.25 * grain / grain.std()), 0, 1) * cv2.GaussianBlur(lungs, (0, 0), 1.0)
    tissue = np.quantile(pixels[lungs < 0.5], 0.75)
    share = (generator.uniform(0.5, 1.0) * strength)[..., None]
    return np.maximum(pixels, np.rint((1 - share) * pixels + share * tissue)).astype(np.uint8)


def _moved(pixels: np.ndarray, lungs: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), generator.normal(0, 5), generator.uniform(0.8, 1.2))
    stretch = generator.uniform(0.85, 1.15)
    matrix[0] = stretch * matrix[0] + [0, 0, (1 - stretch) * SIZE / 2]
    matrix[:, 2] = matrix[:, 2] + generator.normal(0, 0.04, 2) * SIZE
    border = cv2.BORDER_CONSTANT if generator.random() < 0.5 else cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(pixels, matrix, (SIZE, SIZE), borderMode=border)
    return moved, cv2.warpAffine(lungs, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_CONSTANT)


def _exposed(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    exposed = (pixels.astype(np.float32) / 255) ** np.exp(generator.normal(0, 0.35))
    exposed = exposed * generator.uniform(0.6, 1.1) + generator.uniform(-0.1, 0.2)
    if generator.random() < 0.4:
        exposed = cv2.GaussianBlur(exposed, (0, 0), generator.uniform(0.4, 1.5))
    if generator.random() < 0.4:
        exposed = exposed + generator.normal(0, generator.uniform(0.005, 0.05), exposed.shape[:2])[..., None]
    return np.rint(255 * np.clip(exposed, 0, 1)).astype(np.uint8)


def _even(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.full_like(pixels, generator.choice(np.array([0, 255, generator.integers(256)])))


def _noise(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    grain = cv2.resize(generator.normal(0, 1, [generator.integers(4, 224)] * 2), (SIZE, SIZE))
    return np.repeat((128 + 60 * grain)[..., None], 3, axis=2)


def _gradient(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    angle = generator.uniform(0, 2 * np.pi)
    ramp = 128 + generator.uniform(50, 250) * (np.cos(angle) * x + np.sin(angle) * y)
    return np.repeat(ramp[..., None], 3, axis=2)


def _shuffled(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    cells = int(generator.choice([4, 7, 8]))
    side = SIZE // cells
    blocks = pixels.reshape(cells, side, cells, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    moved = blocks[generator.permutation(len(blocks))]
    return moved.reshape(cells, cells, side, side, 3).swapaxes(1, 2).reshape(SIZE, SIZE, 3)


def _ellipses(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    image = np.full((SIZE, SIZE, 3), int(generator.integers(256)), np.uint8)
    for _ in range(generator.integers(1, 8)):
        centre, axes = (tuple(map(int, generator.integers(low, high, 2))) for low, high in ((0, SIZE), (5, 90)))
        grey = [int(generator.integers(256))] * 3
        cv2.ellipse(image, centre, axes, float(generator.uniform(0, 180)), 0, 360, grey, -1)
    return cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 4))


def _upside_down_part(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    start = generator.integers(0, SIZE - 50, 2)
    part = pixels[start[0] : start[0] + 50, start[1] : start[1] + 50]
    return cv2.resize(np.ascontiguousarray(part[::-1]), (SIZE, SIZE))


KINDS = (_even, _noise, _gradient, _shuffled, _ellipses, _upside_down_part)
