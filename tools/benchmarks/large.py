"""Measure what is not the forward pass: training on 10,000 and on 100,000 images whose features are in the cache."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from detector.datasets.manifest import COLUMNS
from detector.files.cache import Cache
from detector.images.lungs import packed
from detector.images.masks import NetworkInput
from detector.images.phantom import draw_lungs
from detector.images.read import SIZE
from detector.network.backbone import WIDTH
from detector.network.features import feature_key, lungs_key
from tools.benchmarks.measure import ROOT, machine, run
from tools.benchmarks.speed import row, seed_weights

SIDE = 64  # pixels of an image
AT_A_TIME = 1000


def image(number: int) -> np.ndarray:
    """Return a small picture that its number decides; no two are alike."""
    generator = np.random.default_rng(number)
    coarse = generator.integers(0, 256, (16, 16), dtype=np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def write(task: tuple[Path, Path, int, int]) -> list[dict[str, str]]:
    """Write images, put features into the cache, and return the images' rows of the manifests."""
    folder, cache, start, stop = task
    rows, values = [], {}
    lungs = packed(cv2.resize(draw_lungs(0).astype(np.uint8), (SIZE, SIZE)) > 0)
    for number in range(start, stop):
        generator = np.random.default_rng([number, 1])
        label = ("covid", "normal")[number % 2]
        data = cv2.imencode(".png", image(number))[1].tobytes()
        path = folder / label / f"{number:06d}.png"
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        features = generator.normal(0.03 * (label == "covid") * (np.arange(WIDTH) % 7 == 0), 1.0, WIDTH)
        values[feature_key(NetworkInput(path, digest), "float32")] = features.astype("<f4").tobytes()
        values[lungs_key(digest)] = lungs
        rows.append(
            {"file": path.name, "label": label, "patient": f"p{number // 4}-{label}", "sha256": digest}
            | {"view": ("PA", "AP")[int(generator.integers(2))], "sex": ("F", "M")[int(generator.integers(2))]}
            | {"age": str(generator.integers(18, 90)), "source": "bench", "site": f"hospital {generator.integers(3)}"}
        )
    Cache(cache, 2**40).put(values)
    return rows


def data_set(folder: Path, cache: Path, images: int) -> None:
    """Write a data set whose features are known."""
    for label in ("covid", "normal"):
        (folder / label).mkdir(parents=True)
    tasks = [(folder, cache, start, min(start + AT_A_TIME, images)) for start in range(0, images, AT_A_TIME)]
    with ProcessPoolExecutor() as pool:
        rows = [one for found in pool.map(write, tasks) for one in found]
    for label in ("covid", "normal"):
        with open(folder / label / "manifest.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*COLUMNS, "sex", "age"], restval="")
            writer.writeheader()
            writer.writerows(one for one in rows if one["label"] == label)


def main() -> None:
    """Train on data sets of both sizes and print time, memory and the sizes of the outputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=[10_000, 100_000], help="numbers of images")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        for images in options.sizes:
            out = Path(name) / str(images)
            out.mkdir()
            seed_weights(out / "cache")
            data_set(out / "data", out / "cache", images)
            print(f"{images} images are written", flush=True)
            arguments = ["-d", out / "data", "-p", out / "plot.png", "-m", out / "m.h5", "--recipe", "probe"]
            done = run(ROOT / "train_covid19.py", *arguments, "--cache", out / "cache", "--timings")
            found.append(done)
            stages = ", ".join(f"{stage} {s} s" for stage, s in re.findall(r"^(.+): ([0-9.]+) s$", done.output, re.M))
            print(f"{images} images: {done.seconds:.0f} s, {done.peak:.0f} MiB ({stages})", flush=True)
        began = time.perf_counter()
        record = json.loads((out / "covid19.json").read_text())
        seconds = time.perf_counter() - began
        size = (out / "covid19.json").stat().st_size / 2**20
        page = (out / "report.html").read_text()
    small, large = options.sizes
    times, memory = found[1].seconds / found[0].seconds, found[1].peak / found[0].peak
    print(f"\n{machine()}; images of {SIDE} × {SIDE} pixels, features in the cache, --recipe probe\n")
    print("| what | measured | target | reached |\n| --- | --- | --- | --- |")
    shown = f"{found[1].seconds:.0f} s / {found[0].seconds:.0f} s = {times:.1f}"
    row(f"time at {large:,} ÷ at {small:,}", shown, "≤ 11", times <= 11)
    shown = f"{found[1].peak:.0f} MiB / {found[0].peak:.0f} MiB = {memory:.1f}"
    row(f"peak memory at {large:,} ÷ at {small:,}", shown, "≤ 4", memory <= 4)
    images = len(record["train"]) + len(record["held_out"])
    usable = images == large and seconds < 10
    row("covid19.json", f"{size:.0f} MiB, read in {seconds:.1f} s, {images:,} images", "all, < 10 s", usable)
    cards, left_out = page.count("<details>"), re.search(r"[0-9,]+ images are left out here", page)
    said = (
        f"{len(page) / 2**20:.1f} MiB, {cards} images: {left_out[0].strip() if left_out else 'says nothing of others'}"
    )
    row("report.html", said, "≤ 10 MiB, says how many it leaves out", len(page) < 10 * 2**20 and bool(left_out))


if __name__ == "__main__":
    main()
