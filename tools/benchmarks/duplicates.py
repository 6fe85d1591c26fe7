"""Measure near duplicates: which changed copies of radiographs are found, which other images are taken for copies."""

from __future__ import annotations

import argparse
import hashlib
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from detector.images.duplicates import COUNT, Copy, find_copies, perceptual_hash
from detector.images.listing import list_images
from detector.images.phantom import draw
from detector.images.read import SIZE, decode, file_bytes, read

LARGEST = 640  # pixels of a side: larger images are reduced before they are copied
COPIES = 25  # of each phantom whose copies are timed
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def rotated(degrees: float, fill: str = "black", zoom: float = 1.0) -> Change:
    """Return a rotation by so many degrees, to the left or right; "expanded" keeps all of the image on a larger one."""

    def change(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        height, width = image.shape
        angle = degrees * generator.choice([-1, 1])
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
        if fill == "expanded":
            cosine, sine = abs(matrix[0, :2])
            larger = round(width * cosine + height * sine), round(height * cosine + width * sine)
            matrix = matrix + np.array([[0, 0, larger[0] - width], [0, 0, larger[1] - height]]) / 2
            width, height = larger
        mode = cv2.BORDER_REPLICATE if fill == "replicated" else cv2.BORDER_CONSTANT
        return cv2.warpAffine(image, matrix, (width, height), borderMode=mode, borderValue=255 * (fill == "white"))

    return change


def mirrored(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return an image mirrored."""
    return np.ascontiguousarray(image[:, ::-1])


def compressed(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return an image as a JPEG of quality 50 shows it."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def resized(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return an image at 224 × 224, whatever its shape."""
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def exposed(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return an image brighter or darker, with more or less contrast; some of it is clipped."""
    return np.clip(image * generator.uniform(0.7, 1.3) + generator.uniform(-30, 30), 0, 255).astype(np.uint8)


def cropped(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a crop of 90 % of each side, at a random place."""
    height, width = (int(0.9 * side) for side in image.shape)
    top, left = (generator.integers(0.1 * side) for side in image.shape)
    return image[top : top + height, left : left + width]


def moved(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return an image at half its size, shifted a little and exposed anew."""
    rolled = np.roll(image, generator.integers(-9, 10, 2), (0, 1))
    return (cv2.resize(rolled, None, fx=0.5, fy=0.5) * generator.uniform(0.85, 1.0)).astype(np.uint8)


def everything(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return an image mirrored or not, rotated up to 10°, zoomed by up to a tenth, exposed, resized and compressed."""
    fill = generator.choice(["black", "white", "replicated", "expanded"])
    steps = [rotated(generator.uniform(0, 10), fill, generator.uniform(0.9, 1.1)), exposed, resized, compressed]
    for step in [mirrored, *steps] if generator.random() < 0.5 else steps:
        image = step(image, generator)
    return image


def both(*steps: Change) -> Change:
    """Return changes one after another."""

    def change(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        for step in steps:
            image = step(image, generator)
        return image

    return change


CHANGES: dict[str, Change] = {
    "mirrored": mirrored,
    **{f"rotated by {angle}°, black corners": rotated(angle) for angle in (1, 3, 5, 7, 10)},
    **{f"rotated by 10°, {fill}": rotated(10, fill) for fill in ("white", "replicated", "expanded")},
    "mirrored, rotated by 5°": both(mirrored, rotated(5)),
    "mirrored, rotated by 10°, JPEG 50": both(mirrored, rotated(10), compressed),
    "resized to 224 × 224": resized,
    "JPEG 50": compressed,
    "brightness and contrast": exposed,
    "reduced to 0.9 within black": rotated(0, zoom=0.9),
    "enlarged by 1.1": rotated(0, zoom=1.1),
    "cropped to 0.9, off centre": cropped,
    "all of these, any amount": everything,
    "flipped upside down": lambda image, generator: image[::-1],
    "rotated by a quarter": lambda image, generator: np.rot90(image),
    "transposed": lambda image, generator: image.T,
    "negative": lambda image, generator: 255 - image,
    "negative, mirrored": lambda image, generator: 255 - image[:, ::-1],
}


def shown(image: np.ndarray) -> np.ndarray:
    """Return a grey image as a run reads it, (224, 224, 3)."""
    averaged = cv2.INTER_AREA if min(image.shape) >= SIZE else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(image, (SIZE, SIZE), interpolation=averaged), cv2.COLOR_GRAY2RGB)


def copies_of(task: tuple[int, Path]) -> list[np.ndarray]:
    """Return a file as a run reads it, and its changed copies."""
    number, path = task
    image = decode(file_bytes(path), path).pixels
    image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    scale = min(1.0, LARGEST / max(image.shape))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    copies = [change(image, np.random.default_rng([number, i])) for i, change in enumerate(CHANGES.values())]
    return [shown(one) for one in (image, *copies)]


def copies_among(pixels: Sequence[np.ndarray]) -> dict[tuple[int, int], Copy]:
    """Return which of some images are copies of which."""
    digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in pixels]
    return find_copies([perceptual_hash(one) for one in pixels], digests, pixels.__getitem__)


def print_times(counts: Sequence[int]) -> None:
    """Print what the search costs among random hashes, and among 25 copies of each of some phantoms."""
    print("| images | of them copies | processor time | peak memory |\n| --- | --- | --- | --- |")
    for count in counts:
        generator = np.random.default_rng(0)
        hashes = [row.tobytes().hex() for row in generator.integers(0, 256, (count, COUNT // 2), dtype=np.uint8)]
        drawn = [draw(seed % 2 == 0, seed) for seed in range(count // COPIES)]
        copies = [shown(moved(drawn[i % len(drawn)], np.random.default_rng(i))) for i in range(len(drawn) * COPIES)]
        alike = [perceptual_hash(one) for one in copies]
        for some, pixels in ((hashes, []), (alike, copies)):
            used = time.process_time()
            pairs = find_copies(some, [str(i) for i in range(len(some))], pixels.__getitem__)
            used = time.process_time() - used
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"| {len(some):,} | {len(pairs):,} | {used:.0f} s | {peak:.0f} MiB |", flush=True)


def main() -> None:
    """Print the pairs of images that are reported, which copies are found, and the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="folders of radiographs")
    parser.add_argument("--times", type=int, nargs="+", default=[], help="time the search of so many images")
    parser.add_argument("--every", type=int, default=1, help="measure copies of every n-th image only")
    options = parser.parse_args()
    paths = [path for folder in options.folders for path in list_images(folder).images]
    cv2.setNumThreads(1)
    if options.times:
        print_times(options.times)
        return
    with ThreadPoolExecutor() as pool:
        pixels = list(pool.map(lambda path: read(path).pixels, paths))
        made = list(pool.map(copies_of, enumerate(paths[:: options.every])))
    used = time.process_time()
    pairs = copies_among(pixels)
    print(f"{len(paths)} images, {len(pairs)} copies, {time.process_time() - used:.0f} s of processor time")
    for (i, j), copy in pairs.items():
        print(f"  {copy.correlation:.3f}  {paths[i]} = {paths[j]} ({copy})")
    print(f"\n{len(made)} images copied\n\n| copy | found |\n| --- | --- |")
    for number, name in enumerate(CHANGES, 1):
        pairs = copies_among([*(one[0] for one in made), *(one[number] for one in made)])
        alike = {one: first for first, one in pairs}
        same = [alike.get(len(made) + i) == alike.get(i, i) for i in range(len(made))]
        print(f"| {name} | {np.mean(same):.3f} |", flush=True)


if __name__ == "__main__":
    main()
