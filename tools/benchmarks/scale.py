"""Measure memory and time of training on growing data sets: of distinct phantoms, and of 25 changed copies of each."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tools.benchmarks.measure import ROOT, heading, new_cache, ratio, run, write_copies

SETS = {"distinct": 1, "copies": 25}
SIDE = 1414  # pixels: 2 megapixels
SHORT = 1.0  # seconds: a stage of less in the middle set is not compared


def main() -> None:
    """Train on data sets of each size and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=[50, 500, 5000], help="numbers of images")
    sizes = parser.parse_args().sizes
    found = {}
    for kind, copies in SETS.items():
        # Of copies, the smallest set would be of two phantoms.
        for size in sizes if kind == "distinct" else sizes[1:]:
            with tempfile.TemporaryDirectory() as name:
                out = Path(name)
                data, cache = write_copies(out / "data", size, copies, SIDE), new_cache(out / "cache")
                one = run(ROOT / "train_covid19.py", "-d", data, "-o", out / "run", "--cache", cache, "--timings")
            found[kind, size] = one
            shown = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in one.stages().items())
            print(f"{size} images, {kind}: {one.seconds:.1f} s, {one.peak:.0f} MiB ({shown})", flush=True)
    heading(f"{sizes[2]:,} phantoms of {SIDE} × {SIDE} pixels, default settings, first runs")
    for kind in SETS:
        small, middle, large = found["distinct", sizes[0]], found[kind, sizes[1]], found[kind, sizes[2]]
        ratio(f"{kind}: peak memory, ÷ {sizes[0]} distinct", large.peak, small.peak, 1.5, unit="MiB")
        most = 1.05 * sizes[2] / sizes[1]
        ratio(f"{kind}: time, ÷ {sizes[1]}", large.seconds, middle.seconds, most)
        for stage, seconds in middle.stages().items():
            if seconds >= SHORT:
                ratio(f"{kind}: time of {stage}, ÷ {sizes[1]}", large.stages()[stage], seconds, most)


if __name__ == "__main__":
    main()
