"""Train on a Ray cluster of three nodes on this machine, one of which dies, and compare with a plain run."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from detector.files.cache import FILE
from detector.network.backbone import WIDTH
from tools.benchmarks.measure import ROOT, Run, heading, new_cache, ratio, row, run, write_copies

FEW, COPIES, SIDE = 24, 2, 256
FEATURES = "SELECT key, value FROM entries WHERE length(value) = ?"


def train(data: Path, out: Path, *more: str) -> Run:
    """Train on a data set with a cache of its own, in a new folder."""
    out.mkdir()
    cache = new_cache(out / "cache")
    command = ["-d", data, "-o", out, "--recipe", "probe", "--no-report", "--quiet", "--cache", cache, *more]
    done = run(ROOT / "train_covid19.py", *command)
    print(f"{out.name}: {done.seconds:.0f} s", flush=True)
    return done


def features(out: Path) -> dict[bytes, np.ndarray]:
    """Return the features that a run has kept until now, by key."""
    try:
        with closing(sqlite3.connect(f"file:{out / 'cache' / FILE}?mode=ro", timeout=30, uri=True)) as database:
            return {name: np.frombuffer(value, "<f4") for name, value in database.execute(FEATURES, (4 * WIDTH,))}
    except sqlite3.OperationalError:
        return {}  # the run has not begun to keep any


def apart(one: Path, other: Path) -> float:
    """Return by how much two runs differ, at most: in features, in probabilities, in the ROC AUC.

    Of features |a - b| / (1 + |b|), as `numpy.allclose` has it: they go from 0 to some dozen.
    """
    ours, theirs = features(one), features(other)
    if not ours or ours.keys() != theirs.keys():
        return float("inf")
    found = [float((np.abs(ours[name] - theirs[name]) / (1 + np.abs(theirs[name]))).max()) for name in ours]
    left, right = (json.loads((out / "covid19.json").read_text(encoding="utf-8")) for out in (one, other))
    for a, b in zip(left["held_out"], right["held_out"], strict=True):
        found.append(abs(a["probabilities"]["covid"] - b["probabilities"]["covid"]))
    # None of few images.
    areas = [record["metrics"]["roc_auc"]["value"] or 0.0 for record in (left, right)]
    return max(*found, abs(areas[0] - areas[1]))


def main() -> None:
    """Make every run and print how far they differ, and how long they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    images = parser.parse_args().images
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    from ray.cluster_utils import Cluster

    size: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 300 * 2**20}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        few, many = (write_copies(out / f"{n}", n, COPIES, SIDE) for n in (FEW, images))
        plain_few, plain = train(few, out / "plain-few"), train(many, out / "plain")
        # The first only leads: this machine has two cores, and a plain run has no more.
        cluster = Cluster(initialize_head=True, head_node_args=size | {"num_cpus": 0, "include_dashboard": False})
        nodes = [cluster.add_node(**size) for _ in range(2)]
        ray = ["--ray", cluster.address]
        ray_few, on_ray = train(few, out / "ray-few", *ray), train(many, out / "ray", *ray)
        with ThreadPoolExecutor() as pool:
            bereft = pool.submit(train, many, out / "bereft", *ray)
            time.sleep(on_ray.seconds / 2)
            held = len(features(out / "bereft"))
            cluster.remove_node(nodes[-1], allow_graceful=False)
            bereft.result()
        cluster.shutdown()

        heading(f"three nodes of 0, 1 and 1 CPU; {images} images of {SIDE} × {SIDE}, --recipe probe")
        what = "features, probabilities and ROC AUC, furthest apart"
        for how, folder in (("on the cluster", "ray"), (f"a node killed after {held} images", "bereft")):
            difference = apart(out / folder, out / "plain")
            row(f"{how}: {what}", f"{difference:.1e}", "≤ 1e-5", difference <= 1e-5)
        # What a run takes whatever its images are, start-up included, is no overhead.
        longer, shorter = on_ray.seconds - ray_few.seconds, plain.seconds - plain_few.seconds
        ratio("time beyond that of a few images, ÷ plain", longer, shorter, 1.15)


if __name__ == "__main__":
    main()
