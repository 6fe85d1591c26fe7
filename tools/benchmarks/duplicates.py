"""Measure near duplicates: which changed copies of radiographs are found, which other images are taken for copies."""

from __future__ import annotations

import argparse
import hashlib
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from detector.images.duplicates import Copy, find_copies, perceptual_hash
from detector.images.listing import list_images
from detector.images.raster import Decoded
from detector.images.read import SIZE, decode, file_bytes, from_decoded, read
from detector.images.shortcuts import plant
from tools.benchmarks.measure import changed_copy

LARGEST = 640  # pixels of a side: larger images are reduced before they are copied
COPIES = 25  # of each phantom whose copies are timed
BORDERS = {"black": cv2.BORDER_CONSTANT, "replicated": cv2.BORDER_REPLICATE, "reflected": cv2.BORDER_REFLECT}
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Range = tuple[float, float]


def rotated(
    image: np.ndarray,
    generator: np.random.Generator,
    degrees: Range,
    border: int = cv2.BORDER_CONSTANT,
    zoom: Range = (1, 1),
) -> np.ndarray:
    """Rotate an image to the left or right, and zoom."""
    height, width = image.shape
    angle = generator.uniform(*degrees) * generator.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, generator.uniform(*zoom))
    return cv2.warpAffine(image, matrix, (width, height), borderMode=border)


def mirrored(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mirror an image."""
    return np.ascontiguousarray(image[:, ::-1])


def compressed(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Show an image as a JPEG of quality 30 does."""
    return plant(image, "jpeg", 2, 0)


def resized(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Reduce an image to 224 × 224, whatever its shape."""
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def exposed(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Make an image brighter or darker, with more or less contrast; some of it is clipped."""
    return np.clip(image * generator.uniform(0.7, 1.3) + generator.uniform(-30, 30), 0, 255).astype(np.uint8)


def cropped(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Crop an image to 90 % of each side, at a random place."""
    height, width = (int(0.9 * side) for side in image.shape)
    top, left = (generator.integers(0.1 * side) for side in image.shape)
    return image[top : top + height, left : left + width]


# One change after another.
CHANGES: dict[str, list[Change]] = {
    "mirrored": [mirrored],
    **{f"rotated by {angle}°": [partial(rotated, degrees=(angle, angle))] for angle in (1, 3, 5, 7)},
    **{
        f"rotated by 10°, corners {name}": [partial(rotated, degrees=(10, 10), border=border)]
        for name, border in BORDERS.items()
    },
    "mirrored, rotated by 5°": [mirrored, partial(rotated, degrees=(5, 5))],
    "mirrored, rotated by 10°, JPEG 30": [mirrored, partial(rotated, degrees=(10, 10)), compressed],
    "resized to 224 × 224": [resized],
    "JPEG 30": [compressed],
    "brightness and contrast": [exposed],
    "reduced to 0.9 within black": [partial(rotated, degrees=(0, 0), zoom=(0.9, 0.9))],
    "enlarged by 1.1": [partial(rotated, degrees=(0, 0), zoom=(1.1, 1.1))],
    "cropped to 0.9, off centre": [cropped],
    "rotated and zoomed by any amount, exposed, resized, JPEG 30": [
        partial(rotated, degrees=(0, 10), zoom=(0.9, 1.1)),
        *(exposed, resized, compressed),
    ],
    "flipped upside down": [lambda image, generator: image[::-1]],
    "rotated by a quarter": [lambda image, generator: np.rot90(image)],
    "transposed": [lambda image, generator: image.T],
    "negative": [lambda image, generator: 255 - image],
    "negative, mirrored": [mirrored, lambda image, generator: 255 - image],
}


def reduced(path: Path) -> np.ndarray:
    """Return an image, grey, no larger than `LARGEST`."""
    image = decode(file_bytes(path), path).pixels
    image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    scale = min(1.0, LARGEST / max(image.shape))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def shown(image: np.ndarray, *steps: Change, seed: int = 0) -> np.ndarray:
    """Return a changed image, grey, as a run reads it, (224, 224, 3)."""
    generator = np.random.default_rng(seed)
    for step in steps:
        image = step(image, generator)
    return from_decoded(Decoded(np.ascontiguousarray(image), False), "").pixels


def copies_among(pixels: Sequence[np.ndarray]) -> dict[tuple[int, int], Copy]:
    """Return which of some images are copies of which."""
    digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in pixels]
    return find_copies([perceptual_hash(one) for one in pixels], digests, pixels.__getitem__)


def print_times(counts: Sequence[int]) -> None:
    """Print what the search costs among 25 copies of each of some phantoms."""
    print("| images | of them copies | processor time | peak memory |\n| --- | --- | --- | --- |")
    for count in counts:
        images = [shown(changed_copy(number, COPIES, 256)) for number in range(count)]
        began = time.process_time()
        copies, peak = copies_among(images), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        used = time.process_time() - began
        print(f"| {count:,} | {len(copies):,} | {used:.0f} s | {peak:.0f} MiB |", flush=True)


def main() -> None:
    """Print the copies among the images of folders, and which changed copies of these are found, or the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="folders of radiographs")
    parser.add_argument("--times", type=int, nargs="+", default=[], help="time the search of so many images")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.times:
        print_times(options.times)
        return
    paths = [path for folder in options.folders for path in list_images(folder).images]
    with ThreadPoolExecutor() as pool:
        pairs = copies_among(list(pool.map(lambda path: read(path).pixels, paths)))
        images = list(pool.map(reduced, paths))
    print(f"{len(paths)} images, {len(pairs)} copies")
    for (i, j), copy in pairs.items():
        print(f"  {copy.correlation:.3f}  {paths[i]} = {paths[j]} ({copy})")
    originals = [shown(one) for one in images]
    print("\n| copy | found |\n| --- | --- |")
    for name, steps in CHANGES.items():
        copies = [shown(one, *steps, seed=number) for number, one in enumerate(images)]
        first = {other: one for one, other in copies_among([*originals, *copies])}
        same = [first.get(len(images) + i) == first.get(i, i) for i in range(len(images))]
        print(f"| {name} | {np.mean(same):.3f} |", flush=True)


if __name__ == "__main__":
    main()
