"""Train on a Ray cluster of three nodes on this machine, one of which dies, and compare with a plain run."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detector.files.cache import FILE
from detector.images.phantom import draw
from tools.benchmarks.measure import ROOT, machine
from tools.benchmarks.speed import row, seed_weights

FEW, SOME, DRAWN = 24, 400, 40
FEATURE_BYTES = 13312


def write(task: tuple[Path, int]) -> None:
    """Write one image: a phantom at half its size, shifted and exposed anew by its number."""
    folder, number = task
    label = ("covid", "normal")[number % 2]
    generator = np.random.default_rng(number)
    image = np.roll(draw(label == "covid", number % DRAWN), generator.integers(-9, 10, 2), (0, 1))
    image = (cv2.resize(image, None, fx=0.5, fy=0.5) * generator.uniform(0.85, 1.0)).astype(np.uint8)
    cv2.imwrite(str(folder / label / f"{number:05d}.png"), image)


def data_set(folder: Path, images: int) -> Path:
    """Write a data set of so many images."""
    for label in ("covid", "normal"):
        (folder / label).mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(write, [(folder, number) for number in range(images)], chunksize=20))
    return folder


class Run:
    """A run of `train_covid19.py` with a cache of its own, on a cluster or not."""

    def __init__(self, name: str, data: Path, out: Path, address: str | None = None, cache: Path | None = None) -> None:
        self.folder, self.cache = out / name, cache or out / f"cache-{name}"
        if not self.cache.exists():
            seed_weights(self.cache)
        self.folder.mkdir()
        where = ["--ray", address] if address else []
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                *(sys.executable, str(ROOT / "train_covid19.py"), "-d", str(data), "--recipe", "probe"),
                *("--no-report", "--quiet", "--cache", str(self.cache), "--timings", *where),
            ],
            cwd=self.folder,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> Run:
        """Wait for its end, which must be a good one."""
        output = self.process.communicate()[0]
        self.seconds = time.perf_counter() - self.began
        if self.process.returncode:
            raise SystemExit(f"the run in {self.folder.name} ended with {self.process.returncode}:\n{output}")
        self.forward = next(float(line.split()[1]) for line in output.splitlines() if line.startswith("forward:"))
        self.record = json.loads((self.folder / "covid19.json").read_text())
        print(f"{self.folder.name}: {self.seconds:.0f} s, of which {self.forward:.0f} s forward", flush=True)
        return self

    def features(self) -> dict[bytes, np.ndarray]:
        """Return the features that its cache holds, by key."""
        with closing(sqlite3.connect(self.cache / FILE, timeout=30)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
                return {}  # the run has just created the file
            rows = database.execute("SELECT key, value FROM entries WHERE length(value) = ?", (FEATURE_BYTES,))
            return {name: np.frombuffer(value, "<f4") for name, value in rows}

    def wait_for(self, count: int) -> int:
        """Wait until its cache holds so many features; return how many it then holds."""
        while not (self.cache / FILE).exists() or (held := len(self.features())) < count:
            if self.process.poll() is not None:
                raise SystemExit(f"the run in {self.folder.name} ended early:\n{self.process.communicate()[0]}")
            time.sleep(0.5)
        return held


def apart(one: Run, other: Run) -> float:
    """Return by how much the features of a run differ from another's, at most; infinite where that one lacks some.

    As `numpy.allclose` has it, |a - b| / (1 + |b|): they go from 0 to some dozen.
    """
    ours, theirs = one.features(), other.features()
    if not ours or not ours.keys() <= theirs.keys():
        return float("inf")
    return max(float((np.abs(ours[name] - theirs[name]) / (1 + np.abs(theirs[name]))).max()) for name in ours)


def metrics_apart(one: Run, other: Run) -> float:
    """Return by how much the probabilities of held-out images and the ROC AUC differ, at most."""
    pairs = zip(one.record["held_out"], other.record["held_out"], strict=True)
    said = [abs(a["probabilities"]["covid"] - b["probabilities"]["covid"]) for a, b in pairs]
    return max(*said, abs(one.record["metrics"]["roc_auc"]["value"] - other.record["metrics"]["roc_auc"]["value"]))


def blocks_computed() -> int:
    """Return how many blocks of images the cluster's workers have computed so far.

    Ray's record has no mark of them. Readers take a fraction of a second for a block; workers take seconds.
    """
    import ray

    taken: dict[str, list[float]] = {}
    for one in ray.timeline():
        if one["name"] == "submit":
            taken.setdefault(one["tid"], []).append(one["dur"] / 1e6)
    return sum(len(seconds) for seconds in taken.values() if np.median(seconds) > 1)


def main() -> None:
    """Make every run and print how far they differ, and how long they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    import ray
    from ray.cluster_utils import Cluster

    size: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 300 * 2**20}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        few, some, many = (
            data_set(out / f"{images}", images) for images in (FEW, min(SOME, options.images - 1), options.images)
        )
        plain_few, plain = Run("plain-few", few, out).finish(), Run("plain", many, out).finish()
        # The first only leads: this machine has two cores, and a plain run has no more.
        head = size | {"num_cpus": 0, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        nodes = [cluster.add_node(**size) for _ in range(2)]
        ray_few, on_ray = (
            Run(f"ray{n}", data, out, cluster.address).finish() for n, data in (("-few", few), ("", many))
        )
        # Once more: the machine's own speed drifts by a tenth within minutes.
        again = Run("plain-again", many, out).finish()

        # To count what workers do; not before, since a second command costs the cluster something, too.
        ray.init(cluster.address, log_to_driver=False, logging_level=logging.FATAL)
        before = blocks_computed()
        ended = Run("ended", many, out, cluster.address)
        held = ended.wait_for(options.images // 2)
        ended.process.send_signal(signal.SIGINT)
        status = ended.process.wait(timeout=60)
        resumed = Run("resumed", many, out, cluster.address, ended.cache).finish()
        blocks = blocks_computed() - before

        # Its images are among those of the others: here, nothing is computed.
        shutil.copytree(plain.cache, out / "cache-some")
        plain_some = Run("plain-some", some, out, cache=out / "cache-some").finish()
        bereft = Run("bereft", some, out, cluster.address)
        bereft.wait_for(min(SOME, options.images - 1) // 2)
        cluster.remove_node(nodes[-1], allow_graceful=False)
        bereft.finish()
        ray.shutdown()
        cluster.shutdown()

        start_up = ray_few.seconds - plain_few.seconds
        beyond = on_ray.seconds - ray_few.seconds, (plain.seconds + again.seconds) / 2 - plain_few.seconds
        overhead = beyond[0] / beyond[1] - 1
        per_block = options.images / -(-options.images // 8)
        # What was under way when the run was ended is in no record: a block a worker, at most.
        twice = (blocks + len(nodes)) * per_block / options.images - 1
        print(f"\n{machine()}; three nodes of 0, 1 and 1 CPU; {options.images} images of 512 × 512, --recipe probe\n")
        print("| what | measured | target | reached |\n| --- | --- | --- | --- |")
        difference = max(apart(on_ray, plain), apart(plain, on_ray))
        row("features, on the cluster against here, furthest apart", f"{difference:.1e}", "≤ 1e-5", difference <= 1e-5)
        difference = metrics_apart(plain, on_ray)
        row("ROC AUC and probabilities, furthest apart", f"{difference:.1e}", "≤ 1e-5", difference <= 1e-5)
        difference = max(apart(bereft, plain), metrics_apart(plain_some, bereft))
        row("a node killed half-way: the same, furthest apart", f"{difference:.1e}", "≤ 1e-5", difference <= 1e-5)
        row(
            f"time beyond a start-up of {start_up:.0f} s, against the mean of a plain run before and one after",
            f"{beyond[0]:.0f} s / {beyond[1]:.0f} s = {overhead:+.1%}",
            "≤ +15 %",
            overhead <= 0.15,
        )
        difference = max(apart(resumed, plain), apart(plain, resumed), metrics_apart(plain, resumed))
        row(
            f"ended (status {status}) with {held} of {options.images} kept, and run again: the same, furthest apart",
            f"{difference:.1e}",
            "≤ 1e-5",
            status == 130 and difference <= 1e-5,
        )
        row("of its images computed twice, at most", f"{twice:.1%}", "≤ 5 %", 0 <= twice <= 0.05)


if __name__ == "__main__":
    main()
