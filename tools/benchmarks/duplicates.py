"""Measure near duplicates: which changed copies of radiographs are found, which other images are taken for copies."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from detector.images.duplicates import BYTES, SAME_RADIOGRAPH, Copy, near_pairs, perceptual_hash, pixel_agreement
from detector.images.listing import list_images
from detector.images.read import SIZE, decode, file_bytes, read

LARGEST = 640  # pixels of a side: larger images are reduced before they are copied
PAIRS = 0.18  # that the hash finds for each of 903 radiographs
CHECKED = 200  # pairs whose pixel check is timed
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


def agrees(pixels: Sequence[np.ndarray], pair: tuple[int, int], copy: Copy) -> float:
    """Return how well the pixels of a pair agree that the hash takes for copies."""
    first, second = (pixels[i] for i in pair)
    return pixel_agreement(first, second, copy.mirrored, abs(copy.angle))


def print_pairs(paths: Sequence[Path]) -> None:
    """Print the pairs of images that the hash takes for copies, with their agreement, and the time of both steps."""
    with ThreadPoolExecutor() as pool:
        pixels = list(pool.map(lambda path: read(path).pixels, paths))
        hashes = list(pool.map(perceptual_hash, pixels))
    began = time.perf_counter()
    pairs = near_pairs(hashes)
    compared = time.perf_counter()
    found = {pair: agrees(pixels, pair, copy) for pair, copy in pairs.items()}
    checked = time.perf_counter() - compared
    same = sum(agreement >= SAME_RADIOGRAPH for agreement in found.values())
    print(
        f"{len(paths)} images, {BYTES} bytes each, compared in {compared - began:.0f} s: {len(pairs)} pairs by the hash"
    )
    print(f"{same} of them by their pixels, too, in {checked:.1f} s\n\ncorrelation by hash, agreement of pixels, pair")
    for (i, j), copy in pairs.items():
        how = str(copy) or "as it is"
        print(f"  {copy.correlation:.3f} {found[i, j]:.3f}  {paths[i]} = {paths[j]} ({how})")


def print_times(counts: Sequence[int]) -> None:
    """Print what the search costs among random hashes, and the pixel check of as many pairs as radiographs have."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (CHECKED, SIZE, SIZE, 3), dtype=np.uint8)
    smooth = [cv2.GaussianBlur(one, (0, 0), 3) for one in noise]
    began = time.process_time()
    for one in smooth:
        pixel_agreement(one, np.ascontiguousarray(one[:, ::-1]), True, 0.0)
    check = (time.process_time() - began) / CHECKED
    print("| images | search | its processor time | peak memory | processor time of the pixel check, 0.18 pairs each |")
    print("| --- | --- | --- | --- | --- |")
    for count in counts:
        hashes = [row.tobytes().hex() for row in generator.integers(0, 256, (count, BYTES), dtype=np.uint8)]
        began, used = time.perf_counter(), time.process_time()
        near_pairs(hashes)
        taken, used = time.perf_counter() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| {count:,} | {taken:.0f} s | {used:.0f} s | {peak:.0f} MiB | {PAIRS * count * check:.0f} s |", flush=True
        )


def main() -> None:
    """Print the pairs of images that are reported, which copies are found, and the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="folders of radiographs")
    parser.add_argument("--random", type=int, nargs="+", default=[], help="time the search of so many random hashes")
    parser.add_argument("--every", type=int, default=1, help="measure copies of every n-th image only")
    options = parser.parse_args()
    paths = [path for folder in options.folders for path in list_images(folder).images]
    if options.random:
        print_times(options.random)
        return
    cv2.setNumThreads(1)
    print_pairs(paths)
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(copies_of, enumerate(paths[:: options.every])))
    hashes = [[perceptual_hash(pixels) for pixels in one] for one in made]
    count = len(made)
    print(f"\n{count} images copied\n\n| copy | by the hash | by hash and pixels |\n| --- | --- | --- |")
    for number, name in enumerate(CHANGES, 1):
        pairs = near_pairs([*(one[0] for one in hashes), *(one[number] for one in hashes)])
        pixels = [*(one[0] for one in made), *(one[number] for one in made)]
        # Of equal hashes each is paired with the first only.
        copies = {i: Copy() if hashes[i][0] == hashes[i][number] else pairs.get((i, count + i)) for i in range(count)}
        found = [copy is not None for copy in copies.values()]
        same = [
            copy is not None and agrees(pixels, (i, count + i), copy) >= SAME_RADIOGRAPH for i, copy in copies.items()
        ]
        print(f"| {name} | {np.mean(found):.3f} | {np.mean(same):.3f} |", flush=True)


if __name__ == "__main__":
    main()
