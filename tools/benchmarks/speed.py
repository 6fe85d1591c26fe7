"""Measure `train_covid19.py` against the tutorial's loop, in turn on this machine, and how fast the scripts start."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.benchmarks.measure import ROOT, Run, heading, new_cache, ratio, row, run

STARTS = (
    ("train_covid19.py", "--help"),
    ("train_covid19.py", "--epochs", "0"),
    ("train_covid19.py", "--no-such-flag"),
    ("predict_covid19.py", "--help"),
    ("audit_covid19.py", "--folds", "1"),
)
# What no run of the probe can do without: fits, figures, statistics.
IMPORTS = "import sklearn.linear_model, matplotlib.pyplot, scipy.stats"


def run_each_once(dataset: Path, out: Path) -> dict[str, Run]:
    """Run every program once, in order, in the empty folder `out`."""
    runs = {"tutorial": run(ROOT / "tools/benchmarks/tutorial.py", dataset, out)}
    for recipe, title in (("tutorial", ""), ("probe", "probe's ")):
        arguments = ["-d", dataset, "-o", out, "--split", "image", "--recipe", recipe]
        arguments += ["--cache", new_cache(out / f"cache-{recipe}")]
        for number in ("first", "second"):
            runs[f"{title}{number} run"] = run(ROOT / "train_covid19.py", *arguments)
    runs["imports"] = run("-c", IMPORTS)
    image = next(path for path in sorted(dataset.rglob("*.*")) if path.suffix in (".jpg", ".jpeg", ".png"))
    runs["prediction"] = run(ROOT / "predict_covid19.py", "-m", out / "covid19.model.h5", "-o", out, image)
    return runs


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
    parser.add_argument("--dataset", type=Path, help="two class folders (default: 50 phantoms, as the tutorial has)")
    parser.add_argument("--pairs", type=int, default=3, help="how often each program runs")
    options = parser.parse_args()
    rounds = []
    for number in range(1, options.pairs + 1):
        with tempfile.TemporaryDirectory() as name:
            dataset = options.dataset or Path(name) / "phantoms"
            if not options.dataset:
                run(ROOT / "make_phantom_dataset.py", "-o", dataset)
            rounds.append(run_each_once(dataset, Path(name)))
        shown = ", ".join(f"{program} {one.seconds:.1f} s" for program, one in rounds[-1].items())
        print(f"round {number}: {shown}", flush=True)
    medians = {name: statistics.median(one[name].seconds for one in rounds) for name in rounds[0]}
    heading(f"medians of {options.pairs} runs each, in turn; {options.dataset or '50 phantoms'}")

    for name, least in (("first run", 12), ("second run", 30)):
        ratio(f"the tutorial's loop ÷ {name}", medians["tutorial"], medians[name], least=least)
    for one, other, most in (
        ("probe's first run", "first run", 1),
        ("probe's second run", "second run", 1),
        ("probe's second run", "imports", 2),  # of scikit-learn, matplotlib and scipy.stats
        ("prediction", "second run", 1),  # importing TensorFlow takes most of either
    ):
        ratio(f"{one} ÷ {other}", medians[one], medians[other], most)
    slowest = max(start(command) for command in STARTS)
    row("`--help` and argument errors, slowest", f"{slowest:.2f} s", "< 0.5 s", slowest < 0.5)


if __name__ == "__main__":
    main()
