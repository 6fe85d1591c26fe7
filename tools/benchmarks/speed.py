"""Measure `train_covid19.py` against the tutorial's loop, in turn on this machine, and how fast the scripts start."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.benchmarks.measure import ROOT, Run, machine, run

SHARED = ROOT.parent / "shared" / "data" / "seed-dataset"
PROGRAMS = ("tutorial", "first run", "second run", "probe, first run", "probe, second run", "imports", "prediction")
STARTS = (
    ("train_covid19.py", "--help"),
    ("train_covid19.py", "--epochs", "0"),
    ("train_covid19.py", "--no-such-flag"),
    ("predict_covid19.py", "--help"),
    ("audit_covid19.py", "--folds", "1"),
)
# What no run of the probe can do without: fits, figures, statistics.
IMPORTS = "import sklearn.linear_model, matplotlib.pyplot, scipy.stats"


def row(what: str, value: str, target: str, reached: bool) -> None:
    """Print a row of the table."""
    print(f"| {what} | {value} | {target} | {'yes' if reached else 'NO'} |", flush=True)


def run_each_once(dataset: Path, out: Path) -> dict[str, Run]:
    """Run every program of `PROGRAMS` once, in order, in the empty folder `out`."""
    arguments = ["-d", dataset, "-p", out / "plot.png", "-m", out / "m.h5", "--split", "image", "--timings"]
    runs = [run(ROOT / "tools/benchmarks/tutorial.py", "--dataset", dataset, "--output", out)]
    for recipe in ("tutorial", "probe"):
        # A cache of its own, but for the weights, which are fetched once in a lifetime.
        cache = out / f"cache-{recipe}"
        seed_weights(cache)
        runs += [run(ROOT / "train_covid19.py", *arguments, "--recipe", recipe, "--cache", cache) for _ in range(2)]
    runs.append(run("-c", IMPORTS))
    image = next(path for path in sorted(dataset.rglob("*.*")) if path.suffix in (".jpg", ".jpeg", ".png"))
    runs.append(run(ROOT / "predict_covid19.py", "-m", out / "m.h5", "-o", out, image))
    return dict(zip(PROGRAMS, runs, strict=True))


def seed_weights(cache: Path) -> None:
    """Put the extracted weights into a fresh cache."""
    from detector.files.cache import default_folder

    cache.mkdir()
    for kept in default_folder().glob("vgg16_*"):
        shutil.copy(kept, cache)


def start(command: tuple[str, ...]) -> float:
    """Return how long a script takes to print its help or an argument error, best of three."""
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, ROOT / command[0], *command[1:]], capture_output=True, check=False)
        taken.append(time.perf_counter() - begin)
    return min(taken)


def main() -> None:
    """Run the programs in turn, `--pairs` times, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dataset", type=Path, default=SHARED, help="two class folders (default: the tutorial's images)"
    )
    parser.add_argument("--pairs", type=int, default=3, help="how often each program runs")
    options = parser.parse_args()
    if not options.dataset.is_dir():
        raise SystemExit(f"{options.dataset} is not there; give two class folders with --dataset")
    rounds = []
    for number in range(1, options.pairs + 1):
        with tempfile.TemporaryDirectory() as name:
            rounds.append(run_each_once(options.dataset, Path(name)))
        shown = ", ".join(f"{program} {one.seconds:.1f} s" for program, one in rounds[-1].items())
        print(f"round {number}: {shown}", flush=True)
    medians = {name: statistics.median(one[name].seconds for one in rounds) for name in PROGRAMS}
    print(f"\n{machine()}; medians of {options.pairs} runs each, in turn; {options.dataset.name}\n")
    print("| what | measured | target | reached |\n| --- | --- | --- | --- |")
    for name, target in (("first run", 12), ("second run", 30)):
        ratio = medians["tutorial"] / medians[name]
        times = f"{medians['tutorial']:.1f} s / {medians[name]:.1f} s"
        row(f"{name} against the tutorial's loop", f"{times} = {ratio:.1f}×", f"≥ {target}×", ratio >= target)
    for name in ("first run", "second run"):
        probe, tutorial = medians[f"probe, {name}"], medians[name]
        times = f"{probe:.1f} s / {tutorial:.1f} s = {probe / tutorial:.2f}"
        row(f"probe's {name} ÷ the tutorial recipe's", times, "≤ 1", probe <= tutorial)
    ratio = statistics.median(one["probe, second run"].seconds / one["imports"].seconds for one in rounds)
    row("probe's second run ÷ importing scikit-learn, matplotlib and scipy.stats", f"{ratio:.2f}", "≤ 2", ratio <= 2)
    slowest = max(start(command) for command in STARTS)
    row("`--help` and argument errors, slowest", f"{slowest:.2f} s", "< 0.5 s", slowest < 0.5)
    prediction = medians["prediction"]
    # Importing TensorFlow takes most of either.
    row("prediction of one image", f"{prediction:.1f} s", "≤ a second run", prediction <= medians["second run"])
    for name in ("first run", "second run"):
        print(f"\nStages of the {name} (the last of them):\n")
        lines = rounds[-1][name].output.splitlines()
        print("\n".join(line for line in lines if line.endswith(" s") and ": " in line))


if __name__ == "__main__":
    main()
