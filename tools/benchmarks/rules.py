"""How often each conclusion of an audit is right: its rules on simulated data sets, of which the truth is known.

Every source of a shortcut is a matrix of features, one of which separates the classes with a given ROC AUC. The audit's
own folds, logistic regression, intervals and rules are applied to them: ``make bench-rules``, some minutes, or
``make bench-rules ARGS="--sets 20"``. It ends with exit status 1 where a rate is missed by more than chance explains.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.stats import binom, norm
from sklearn.linear_model import LogisticRegression

from detector.audit import evidence
from detector.audit.evidence import (
    AGE,
    BORDER,
    FILES,
    FULL,
    LUNGS_ALONE,
    MASKED_OUT,
    MASKED_REGION,
    SEX,
    Result,
    conclude,
)
from detector.statistics import intervals
from detector.statistics.auc import Scores, auc_difference, roc_auc
from detector.statistics.split import FoldPlan, draw_folds
from detector.statistics.strata import one_thread

# Features of each source.
COLUMNS = {LUNGS_ALONE: 20, MASKED_OUT: 20, BORDER: 6, FILES: 6, MASKED_REGION: 6, AGE: 1}
LUNGS, MIXED = (evidence.LUNGS,), (evidence.MIXED,)
ALARM = (evidence.SHORTCUT, evidence.MIXED)
HARMLESS = (evidence.NO_SIGNAL, evidence.INCONCLUSIVE)
Asked = tuple[tuple[str, ...], float, float]  # one of these conclusions: how often at least, and at most
Areas = dict[str, float]
# The ROC AUC of what predicts at all; by the images of each class, what is asked of the conclusions.
DATA: dict[str, tuple[Areas, dict[int, list[Asked]]]] = {
    "clean": (
        {LUNGS_ALONE: 0.93},
        {60: [(LUNGS, 0.85, 1), (ALARM, 0, 0.02)], 200: [(LUNGS, 0.97, 1), (ALARM, 0, 0.02)], 30: [(ALARM, 0, 0.02)]},
    ),
    "border 0.75": (
        {LUNGS_ALONE: 0.93, BORDER: 0.75},
        {30: [(LUNGS, 0, 0.05)], 60: [(LUNGS, 0, 0.10)], 200: [(LUNGS, 0, 0.02)]},
    ),
    "border 0.65": (
        {LUNGS_ALONE: 0.93, BORDER: 0.65},
        {30: [(LUNGS, 0, 0.20)], 60: [(LUNGS, 0, 0.65)], 200: [(LUNGS, 0, 0.20)]},
    ),
    "whole image": (
        {LUNGS_ALONE: 0.93, BORDER: 0.70, MASKED_OUT: 0.65},
        {30: [(LUNGS, 0, 0.20)], 60: [(LUNGS, 0, 0.35)], 200: [(LUNGS, 0, 0.02)]},
    ),
    "lungs and outside": ({LUNGS_ALONE: 0.85, MASKED_OUT: 0.85}, {200: [(MIXED, 0.95, 1)]}),
    "age 0.62": ({LUNGS_ALONE: 0.93, AGE: 0.62}, {images: [(MIXED, 0, 0.02)] for images in (30, 60, 200)}),
    "noise": ({}, {images: [(HARMLESS, 0.98, 1)] for images in (30, 60, 200)}),
}


def scores(features: np.ndarray, truth: np.ndarray, plan: FoldPlan) -> Scores:
    """Return out-of-fold scores of a logistic regression; each image is of a patient of its own."""
    found = np.empty((1, len(truth)))
    for repeat, _, train, held_out in plan:
        model = LogisticRegression(C=0.1).fit(features[train], truth[train])
        found[repeat, held_out] = features[held_out] @ model.coef_[0]
    return Scores(found, truth, np.arange(len(truth)), plan.folds)


def simulate(images: int, areas: Areas, seed: int) -> str:
    """Draw a data set and return what an audit of it would conclude."""
    intervals.RESAMPLES = 400  # what hundreds of data sets need
    generator, truth = np.random.default_rng([images, seed]), np.repeat([True, False], images)
    patients = np.arange(2 * images)
    matrices: dict[str, np.ndarray] = {}
    for name, columns in COLUMNS.items():
        matrices[name] = generator.normal(size=(len(truth), columns))
        matrices[name][:, 0] += np.sqrt(2) * norm.ppf(areas.get(name, 0.5)) * truth
    matrices[FULL] = np.hstack([matrices[LUNGS_ALONE], matrices[MASKED_OUT]])
    matrices[AGE] = np.hstack([matrices[AGE], matrices[AGE] ** 2])
    matrices[SEX] = (generator.random((len(truth), 1)) < 0.5).astype(float)
    plan = draw_folds((~truth).astype(int), patients, ["positive", "others"], 5, 1, seed)
    with one_thread():
        found = {name: scores(matrix, truth, plan) for name, matrix in matrices.items()}
    measured = {name: one.auc() for name, one in found.items()}
    # All images are of one hospital and one view.
    same = roc_auc(np.zeros((1, len(truth))), truth, patients)
    measured |= {evidence.METADATA: same, evidence.VIEW: same}
    paired = {
        (one, other): auc_difference(found[one], found[other], seed)
        for one, other in ((MASKED_OUT, MASKED_REGION), (LUNGS_ALONE, FULL))
    }
    results = [Result(name, name, "", "", area) for name, area in measured.items()]
    return conclude(results, None, "covid", shared_sites=True, differences=paired).code


def main() -> None:
    """Simulate data sets of each kind and size and print the rates beside what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200, help="data sets of each kind and size (default: 200)")
    sets = parser.parse_args().sets
    missed = False
    print(f"| data | images a class | conclusions of {sets} | asked |\n| --- | --- | --- | --- |")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for title, (areas, sizes) in DATA.items():
            for images, every in sizes.items():
                counts = Counter(pool.map(partial(simulate, images, areas), range(sets)))
                asked = []
                for codes, least, most in every:
                    hits = sum(counts[code] for code in codes)
                    missed |= not binom.ppf(0.001, sets, least) <= hits <= binom.ppf(0.999, sets, most)
                    bound = f"at least {least:.2f}" if least else f"at most {most:.2f}"
                    asked.append(f"{' or '.join(codes)} {hits / sets:.2f}, {bound}")
                rates = ", ".join(f"{name} {count / sets:.2f}" for name, count in counts.most_common())
                print(f"| {title} | {images} | {rates} | {'; '.join(asked)} |", flush=True)
    sys.exit(missed)


if __name__ == "__main__":
    main()
