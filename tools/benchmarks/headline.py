"""Count how often the tutorial's headline is reached on its own images, over seeds of weights and order, same split."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from detector.command_line import Log
from detector.datasets.dataset import load
from detector.network import head
from detector.statistics import split
from detector.training.extraction import open_dataset
from tools.benchmarks.measure import ROOT

COPIES, SPLIT_SEED = 2, 42


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, default=ROOT.parent / "shared" / "data" / "seed-dataset")
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    extractor = open_dataset(load(options.dataset), Log(quiet=True), pooling="tutorial")
    labels, classes = extractor.dataset.labels, extractor.dataset.classes
    train, held_out = split.by_image(labels, classes, 0.2, SPLIT_SEED)
    copies, exact = extractor.augmented(train, COPIES, SPLIT_SEED), extractor.features(held_out)
    right, ill = [], []
    for seed in range(options.seeds):
        trained = head.fit(copies, labels[train], len(classes), head.Hyperparameters(), seed)
        correct = head.predict_proba(exact, trained.weights).argmax(axis=1) == labels[held_out]
        right.append(correct.mean())
        ill.append(correct[labels[held_out] == 0].mean())
    good = np.array(right) >= 0.9
    sure = good & (np.array(ill) == 1.0)
    print(f"{options.seeds} seeds: accuracy >= 0.9 in {good.sum()}, and sensitivity 1 as well in {sure.sum()}")


if __name__ == "__main__":
    main()
