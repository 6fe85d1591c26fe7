"""Try the figures where the answer is known: on phantoms, with and without something planted that tells the classes."""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from detector.images import shortcuts
from tools.benchmarks.measure import ROOT, machine, run

NAMES = ("roc_auc", "roc_auc_stratified", "metadata_baseline", "border_baseline", "roc_auc_border_adjusted")
Change = Callable[[np.ndarray], np.ndarray]


def marked(film: np.ndarray) -> np.ndarray:
    film = film.copy()
    film[8:40, 470:500] = 255
    return film


PLANTED: dict[str, Change | None] = {
    "nothing": None,
    "blur": partial(shortcuts.plant, kind="blur", strength=2, seed=0),
    "gamma": partial(shortcuts.plant, kind="gamma", strength=2, seed=0),
    "mark": marked,
    "site": None,
}


def plant(folder: Path, kind: str) -> None:
    """Change the covid films, or let four of five of each class come from an site of its own."""
    if change := PLANTED[kind]:
        for path in sorted((folder / "covid").glob("*.png")):
            cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))
    if kind != "site":
        return
    for label, usual, other in (("covid", "a", "b"), ("normal", "b", "a")):
        path = folder / label / "manifest.csv"
        with open(path, newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        for number, row in enumerate(table):
            row["site"] = other if number % 5 == 0 else usual
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, table[0].keys())
            writer.writeheader()
            writer.writerows(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=40, help="phantoms of each class")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    size = f"{options.number} v {options.number} phantoms"
    print(f"{size}, mean (lowest to highest) of {options.seeds} seeds; {machine()}")
    print()
    print(f"| planted | {' | '.join(NAMES)} |\n| --- |{' --- |' * len(NAMES)}")
    for kind in PLANTED:
        found: dict[str, list[float | None]] = {name: [] for name in NAMES}
        for seed in range(1, options.seeds + 1):
            with tempfile.TemporaryDirectory() as name:
                out = Path(name)
                common = ("--seed", seed, "--quiet")
                run(ROOT / "make_phantom_dataset.py", "-o", out / "data", "-n", options.number, *common)
                plant(out / "data", kind)
                files = ("-p", out / "p.png", "-m", out / "m.h5")
                recipe = ("--recipe", "probe", "--folds", 5, "--cache", out / "cache")
                run(ROOT / "train_covid19.py", "-d", out / "data", *recipe, *files, *common)
                metrics = json.loads((out / "covid19.json").read_text())["metrics"]
                for figure in NAMES:
                    found[figure].append(metrics[figure]["value"])
        cells = []
        for values in found.values():
            known = [value for value in values if value is not None]
            text = f"{np.mean(known):.2f} ({min(known):.2f}–{max(known):.2f})" if known else "undefined"
            cells.append(text if len(known) == len(values) else f"{text}, {len(known)} of {len(values)}")
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
