"""Measure memory and time of training on 50, 500 and 5,000 images of two megapixels, copies of 40 phantoms."""

from __future__ import annotations

import argparse
import re
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from tools.benchmarks.measure import ROOT, machine, run
from tools.benchmarks.speed import row, seed_weights

WIDTH, HEIGHT = 1632, 1224  # 2 megapixels
DRAWN = 40  # phantoms that all others are enlarged from, shifted and exposed anew


def write(task: tuple[Path, int]) -> None:
    """Write one image; its number decides everything about it."""
    import cv2

    from detector.images.phantom import draw

    folder, number = task
    label = ("covid", "normal")[number % 2]
    image = draw(label == "covid", number % DRAWN)
    generator = np.random.default_rng(number)
    image = np.roll(image, generator.integers(-9, 10, 2), (0, 1)) * generator.uniform(0.85, 1.0)
    large = cv2.resize(image.astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / label / f"IM-{number:05d}-0001.jpeg"), large, [cv2.IMWRITE_JPEG_QUALITY, 90])


def main() -> None:
    """Train on data sets of each size and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=[50, 500, 5000], help="numbers of images")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        for size in options.sizes:
            data = out / f"data-{size}"
            for label in ("covid", "normal"):
                (data / label).mkdir(parents=True)
            with ProcessPoolExecutor() as pool:
                list(pool.map(write, [(data, number) for number in range(size)], chunksize=20))
            cache = out / f"cache-{size}"
            seed_weights(cache)
            arguments = ["-d", data, "-p", out / "plot.png", "-m", out / "m.h5", "--cache", cache, "--timings"]
            found.append(run(ROOT / "train_covid19.py", *arguments))
            stages = re.findall(r"^(.+): ([0-9.]+) s$", found[-1].output, re.MULTILINE)
            shown = ", ".join(f"{stage} {seconds} s" for stage, seconds in stages)
            print(f"{size} images: {found[-1].seconds:.1f} s, {found[-1].peak:.0f} MiB ({shown})", flush=True)
    small, middle, large = options.sizes
    memory, time = found[2].peak / found[0].peak, found[2].seconds / found[1].seconds
    print(f"\n{machine()}; phantoms of {WIDTH} × {HEIGHT} pixels, default settings, first runs\n")
    print("| what | measured | target | reached |\n| --- | --- | --- | --- |")
    peaks = f"{found[2].peak:.0f} MiB / {found[0].peak:.0f} MiB"
    row(f"peak memory at {large:,} images ÷ at {small}", f"{peaks} = {memory:.2f}", "≤ 1.5", memory <= 1.5)
    times = f"{found[2].seconds:.0f} s / {found[1].seconds:.0f} s"
    row(f"time at {large:,} images ÷ at {middle}", f"{times} = {time:.2f}", "≤ 10.5", time <= 10.5)


if __name__ == "__main__":
    main()
