"""Measure memory and time of training on growing data sets: of distinct phantoms, and of 25 changed copies of each."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tools.benchmarks.measure import ROOT, heading, new_cache, row, run, write_copies

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
    heading(f"phantoms of {SIDE} × {SIDE} pixels, default settings, first runs")
    for kind in SETS:
        small, middle, large = found["distinct", sizes[0]], found[kind, sizes[1]], found[kind, sizes[2]]
        growth = sizes[2] / sizes[1]
        peaks = f"{large.peak:.0f} MiB / {small.peak:.0f} MiB = {large.peak / small.peak:.2f}"
        row(
            f"{kind}: peak memory, {sizes[2]:,} images ÷ {sizes[0]} distinct",
            peaks,
            "≤ 1.5",
            large.peak <= 1.5 * small.peak,
        )
        times = {"all": (large.seconds, middle.seconds)}
        times |= {stage: (large.stages()[stage], taken) for stage, taken in middle.stages().items() if taken >= SHORT}
        for stage, (longer, shorter) in times.items():
            ratio, most = longer / shorter, 1.05 * growth
            measured = f"{longer:.0f} s / {shorter:.0f} s = {ratio:.2f}"
            row(f"{kind}: time of {stage}, ÷ {sizes[1]}", measured, f"≤ {most:.1f}", ratio <= most)


if __name__ == "__main__":
    main()
