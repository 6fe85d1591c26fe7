"""Compare held-out AUC of the default number of rotated copies with that of a fresh rotation every epoch, paired."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from detector import head, split
from detector.command_line import Story
from detector.dataset import load
from detector.intervals import auc
from detector.study import open_study

DEFAULT, FRESH = 2, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    study = open_study(load(options.dataset), Story(quiet=True), pool="corner")
    labels, classes = study.dataset.labels, study.dataset.classes
    rows = np.arange(len(labels))
    exact, copies = study.exact(), study.copies(rows, FRESH, seed=42)
    recipe = head.Recipe()
    differences = []
    for seed in range(options.seeds):
        train, held_out = split.by_image(labels, classes, 0.2, seed)
        areas = []
        for count in (DEFAULT, FRESH):
            trained = head.train(copies[train][:, :count], labels[train], len(classes), recipe, seed)
            said = head.probabilities(exact[held_out], trained.weights)[:, 0]
            areas.append(float(auc(said[labels[held_out] == 0], said[labels[held_out] != 0])))
        differences.append(areas[0] - areas[1])
    error = 1.96 * np.std(differences, ddof=1) / np.sqrt(len(differences))
    mean = float(np.mean(differences))
    print(mean, mean - error, mean + error)


if __name__ == "__main__":
    main()
