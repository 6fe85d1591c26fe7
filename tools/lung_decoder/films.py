"""Radiographs with lung masks, and copies of them: a decoder should not mind other exposures, positions or illness."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detector.images import phantom
from detector.images.occlusion import SUFFIX
from detector.images.radiographs import SIZE, decode, file_bytes, find, from_decoded

COPIES = 4  # of each film, beside the film itself and before each is mirrored
OPAQUE = 0.6  # share of the copies that get opacities: a lung that is ill is a lung


@dataclass(frozen=True)
class Film:
    """A radiograph with its lungs.

    Attributes
    ----------
    name : str
    patient : str
    pixels : ndarray of shape (224, 224, 3), uint8
    mask : ndarray of shape (height, width), bool
        As large as the image's file.
    """

    name: str
    patient: str
    pixels: np.ndarray
    mask: np.ndarray

    @property
    def lungs(self) -> np.ndarray:
        """Share of each of the network's pixels that is lung, shape (224, 224), float32 in [0, 1]."""
        return cv2.resize(self.mask.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def read_films(images: Path, masks: Path, patients: dict[str, str]) -> list[Film]:
    """Read the images of a folder that have a mask in another one, in the order of their names.

    Parameters
    ----------
    images, masks : Path
    patients : dict of str to str
        Patients by the image's file name.

    Returns
    -------
    list of Film
    """
    films = []
    for path in find(images):
        file = masks / f"{path.stem}{SUFFIX}.png"
        if path.name in patients and file.is_file():
            image, mask = (decode(file_bytes(one), one) for one in (path, file))
            grey = mask.pixels if mask.pixels.ndim == 2 else mask.pixels.max(axis=2)
            height, width = image.pixels.shape[:2]
            marked = cv2.resize((grey > 127).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
            films.append(Film(path.name, patients[path.name], from_decoded(image, "").pixels, marked))
    return films


def patients_of(table: Path, file: str, patient: str) -> dict[str, str]:
    """Return patients by file name, as a table has them in the columns named."""
    with table.open(newline="", encoding="utf-8") as lines:
        return {row[file]: row[patient] for row in csv.DictReader(lines)}


def augmented(film: Film, number: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pixels (224, 224, 3), uint8, and shares of lung (224, 224), float32, of a film and of copies.

    Each is mirrored, too. Copies get opacities, are turned, moved, zoomed and stretched a little, exposed otherwise,
    blurred or noisy. After them comes an image without a chest: a decoder that has seen chests only finds lungs
    everywhere.

    Parameters
    ----------
    film : Film
    number : int
        Of the film; decides on the kind of image without a chest.
    seed : int
    """
    generator = np.random.default_rng([seed, number])
    for copy in range(COPIES + 1):
        pixels, lungs = film.pixels, film.lungs
        if copy:
            if generator.random() < OPAQUE:
                pixels = _opacified(pixels, lungs, generator)
            pixels, lungs = _moved(pixels, lungs, generator)
            pixels = _exposed(pixels, generator)
        yield pixels, lungs
        yield pixels[:, ::-1], lungs[:, ::-1]
    nothing = KINDS[number % len(KINDS)](film.pixels, generator)
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
    matrix[:, 2] += generator.normal(0, 0.04, 2) * SIZE
    border = cv2.BORDER_CONSTANT if generator.random() < 0.5 else cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(pixels, matrix, (SIZE, SIZE), borderMode=border)
    return moved, cv2.warpAffine(lungs, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_CONSTANT)


def _exposed(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    film = pixels.astype(np.float32) / 255
    film = np.clip(film, 0, 1) ** np.exp(generator.normal(0, 0.35))
    film = film * generator.uniform(0.6, 1.1) + generator.uniform(-0.1, 0.2)
    if generator.random() < 0.4:
        film = cv2.GaussianBlur(film, (0, 0), generator.uniform(0.4, 1.5))
    if generator.random() < 0.4:
        film = film + generator.normal(0, generator.uniform(0.005, 0.05), film.shape[:2])[..., None]
    return np.rint(255 * np.clip(film, 0, 1)).astype(np.uint8)


def _even(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.full_like(pixels, generator.choice([0, 255, generator.integers(256)]))


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
    blocks = blocks[generator.permutation(len(blocks))]
    return blocks.reshape(cells, cells, side, side, 3).swapaxes(1, 2).reshape(SIZE, SIZE, 3)


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


def phantoms(count: int) -> list[Film]:
    """Draw phantoms, whose lungs are known exactly; every other one is ill."""
    drawn = []
    for seed in range(count):
        film, mask = phantom.draw(seed % 2 == 0, seed), phantom.draw_lungs(seed)
        pixels = cv2.resize(film, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        drawn.append(Film(f"phantom {seed}", str(seed), np.repeat(pixels[..., None], 3, axis=2), mask))
    return drawn
