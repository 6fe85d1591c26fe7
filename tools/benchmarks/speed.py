"""Measure `train_covid19.py` against the tutorial's loop, in turn on this machine, and the rest of what is promised."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tools.benchmarks.measure import ROOT, Run, machine, run

SHARED = ROOT.parent / "shared" / "data" / "seed-dataset"
STARTS = (
    ("train_covid19.py", "--help"),
    ("train_covid19.py", "--epochs", "0"),
    ("train_covid19.py", "--no-such-flag"),
    ("predict_covid19.py", "--help"),
    ("audit_covid19.py", "--folds", "1"),
)


def median(runs: list[Run]) -> float:
    return statistics.median(one.seconds for one in runs)


def row(figure: str, value: str, target: str, reached: bool) -> None:
    print(f"| {figure} | {value} | {target} | {'yes' if reached else 'NO'} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dataset", type=Path, default=SHARED, help="two class folders (default: the tutorial's images)"
    )
    parser.add_argument("--pairs", type=int, default=3, help="how often each program runs")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the comparison of AUC")
    options = parser.parse_args()
    if not options.dataset.is_dir():
        raise SystemExit(f"{options.dataset} is not there; give two class folders with --dataset")
    tutorial: list[Run] = []
    first: list[Run] = []
    second: list[Run] = []
    probe: tuple[list[Run], list[Run]] = [], []
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        for pair in range(options.pairs):
            tutorial.append(run(ROOT / "tools/benchmarks/tutorial.py", "--dataset", options.dataset, "--output", out))
            # A cache of its own for each pair, but for the weights, which are fetched once in a lifetime.
            arguments = ["-d", options.dataset, "-p", out / "plot.png", "-m", out / "m.h5", "--split", "image"]
            arguments += ["--cache", out / f"cache-{pair}", "--timings"]
            seed_weights(out / f"cache-{pair}")
            first.append(run(ROOT / "train_covid19.py", *arguments))
            second.append(run(ROOT / "train_covid19.py", *arguments))
            seed_weights(out / f"probe-{pair}")
            for runs in probe:
                own = [*arguments, "--recipe", "probe", "--cache", out / f"probe-{pair}"]
                runs.append(run(ROOT / "train_covid19.py", *own))
            print(
                f"pair {pair + 1}: tutorial {tutorial[-1].seconds:.1f} s, first run {first[-1].seconds:.1f} s, "
                f"second run {second[-1].seconds:.1f} s, "
                f"probe {probe[0][-1].seconds:.1f} s and {probe[1][-1].seconds:.1f} s",
                flush=True,
            )
        predict = ["-m", out / "m.h5", next(path for path in sorted(options.dataset.rglob("*.jp*g")))]
        run(ROOT / "predict_covid19.py", *predict)
        predicted = [run(ROOT / "predict_covid19.py", *predict) for _ in range(options.pairs)]
        least = [run(ROOT / "tools/benchmarks/import_and_forward.py") for _ in range(options.pairs)]
    slowest = max(start(command) for command in STARTS)
    precision, rate, reached, peak = run(ROOT / "tools/benchmarks/peak.py").output.split()[-4:]
    loss, low, high = map(
        float,
        run(ROOT / "tools/benchmarks/auc.py", "--dataset", options.dataset, "--seeds", options.seeds).output.split()[
            -3:
        ],
    )

    print(f"\n{machine()}; medians of {options.pairs} runs each, in turn; {options.dataset.name}\n")
    print("| figure | measured | target | reached |\n| --- | --- | --- | --- |")
    ratios = median(tutorial) / median(first), median(tutorial) / median(second)
    times = f"{median(tutorial):.1f} s / {median(first):.1f} s", f"{median(tutorial):.1f} s / {median(second):.1f} s"
    row("first run against the tutorial's loop", f"{times[0]} = {ratios[0]:.1f}×", "≥ 12×", ratios[0] >= 12)
    row("second run against the tutorial's loop", f"{times[1]} = {ratios[1]:.1f}×", "≥ 30×", ratios[1] >= 30)
    for which, ours, theirs in zip(("first", "second"), probe, (first, second), strict=True):
        one, other = median(ours), median(theirs)
        # Importing TensorFlow takes most of a second run, and varies by some deciles of a second.
        row(
            f"probe's {which} run ÷ the tutorial recipe's",
            f"{one:.1f} s / {other:.1f} s = {one / other:.2f}",
            "≤ 1",
            one <= other,
        )
    share = float(reached) / float(peak)
    row(
        f"forward throughput, {precision}",
        f"{rate} images/s = {reached} of {peak} GFLOP/s = {share:.0%} of a matrix product's",
        "≥ 90 %",
        share >= 0.9,
    )
    row(
        f"AUC minus that of a fresh rotation every epoch, {options.seeds} seeds",
        f"{loss:+.4f} (95 % CI {low:+.4f} to {high:+.4f})",
        "≥ -0.01",
        loss >= -0.01,
    )
    row("`--help` and argument errors, slowest", f"{slowest:.2f} s", "< 0.5 s", slowest < 0.5)
    above = median(predicted) - median(least)
    row(
        "`predict` above importing TensorFlow and a forward pass",
        f"{median(predicted):.1f} s - {median(least):.1f} s = {above:.1f} s",
        "≤ 1.5 s",
        above <= 1.5,
    )
    for title, runs in (("first", first), ("second", second)):
        print(f"\nWhere the {title} run spends its time (the last of them):\n")
        print("\n".join(line for line in runs[-1].output.splitlines() if line.endswith(" s") and ": " in line))


def seed_weights(cache: Path) -> None:
    """Put the extracted weights into a fresh cache."""
    import shutil

    from detector.storage.cache import default_folder

    cache.mkdir()
    for kept in default_folder().glob("vgg16_*"):
        shutil.copy(kept, cache)


def start(command: tuple[str, ...]) -> float:
    """Return how long a script takes to answer without working, best of three."""
    import subprocess
    import sys
    import time

    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, ROOT / command[0], *command[1:]], capture_output=True, check=False)
        taken.append(time.perf_counter() - begin)
    return min(taken)


if __name__ == "__main__":
    main()
