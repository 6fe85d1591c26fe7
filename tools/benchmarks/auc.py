"""Compare held-out AUC of the default number of rotated copies with that of a fresh rotation every epoch, paired."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from detector.command_line import Log
from detector.datasets.dataset import load
from detector.network import head
from detector.statistics import split
from detector.statistics.roc import auc
from detector.training.extraction import open_dataset

DEFAULT, FRESH = 2, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    extractor = open_dataset(load(options.dataset), Log(quiet=True), pooling="tutorial")
    labels, classes = extractor.dataset.labels, extractor.dataset.classes
    rows = np.arange(len(labels))
    exact, copies = extractor.features(), extractor.augmented(rows, FRESH, seed=42)
    hyperparameters = head.Hyperparameters()
    differences = []
    for seed in range(options.seeds):
        train, held_out = split.by_image(labels, classes, 0.2, seed)
        areas = []
        for count in (DEFAULT, FRESH):
            trained = head.fit(copies[train][:, :count], labels[train], len(classes), hyperparameters, seed)
            said = head.predict_proba(exact[held_out], trained.weights)[:, 0]
            areas.append(float(auc(said[labels[held_out] == 0], said[labels[held_out] != 0])))
        differences.append(areas[0] - areas[1])
    error = 1.96 * np.std(differences, ddof=1) / np.sqrt(len(differences))
    mean = float(np.mean(differences))
    print(mean, mean - error, mean + error)


if __name__ == "__main__":
    main()
