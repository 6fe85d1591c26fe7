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
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm

from detector.audit import evidence
from detector.audit.evidence import Evidence, Result, conclude
from detector.statistics import resampling
from detector.statistics.auc import auc_difference, roc_auc
from detector.statistics.metric import Metric
from detector.statistics.split import FoldPlan, draw_folds
from detector.statistics.strata import one_thread

COLUMNS = {"lungs": 20, "outside": 20, "border": 6, "files": 6, "shape": 6}  # features of each source
ALARM = (evidence.SHORTCUT, evidence.MIXED)
HARMLESS = (evidence.NO_SIGNAL, evidence.INCONCLUSIVE)


@dataclass(frozen=True)
class Cell:
    """Data sets of one kind and size, and how often a conclusion may, or must, be drawn from them."""

    title: str
    images: int
    areas: dict[str, float]
    codes: tuple[str, ...]
    least: float = 0.0
    most: float = 1.0


CLEAN, BORDER_75, BORDER_65 = {"lungs": 0.93}, {"lungs": 0.93, "border": 0.75}, {"lungs": 0.93, "border": 0.65}
WHOLE = {"lungs": 0.93, "border": 0.70, "outside": 0.65}
BOTH, AGE = {"lungs": 0.85, "outside": 0.85}, {"lungs": 0.93, "age": 0.62}
LUNGS = (evidence.LUNGS,)
CELLS = (
    Cell("clean", 60, CLEAN, LUNGS, least=0.85),
    Cell("clean", 200, CLEAN, LUNGS, least=0.97),
    *(Cell("clean", images, CLEAN, ALARM, most=0.02) for images in (30, 60, 200)),
    *(Cell("border 0.75", images, BORDER_75, LUNGS, most=m) for images, m in ((30, 0.05), (60, 0.10), (200, 0.02))),
    *(Cell("border 0.65", images, BORDER_65, LUNGS, most=m) for images, m in ((30, 0.20), (60, 0.65), (200, 0.20))),
    *(Cell("whole image", images, WHOLE, LUNGS, most=m) for images, m in ((30, 0.20), (60, 0.35), (200, 0.02))),
    Cell("lungs and outside", 200, BOTH, (evidence.MIXED,), least=0.95),
    *(Cell("age 0.62", images, AGE, (evidence.MIXED,), most=0.02) for images in (30, 60, 200)),
    *(Cell("noise", images, {}, HARMLESS, least=0.98) for images in (30, 60, 200)),
)


def scores(features: np.ndarray, truth: np.ndarray, plan: FoldPlan) -> np.ndarray:
    """Return out-of-fold scores of a logistic regression, shape (1, n)."""
    from sklearn.linear_model import LogisticRegression

    found = np.empty((1, len(truth)))
    for repeat, _, train, held_out in plan:
        model = LogisticRegression(C=0.1).fit(features[train], truth[train])
        found[repeat, held_out] = features[held_out] @ model.coef_[0]
    return found


def simulate(images: int, areas: dict[str, float], seed: int) -> Evidence:
    """Draw a data set and return what an audit of it would find."""
    generator, truth = np.random.default_rng([images, seed]), np.repeat([True, False], images)
    patients = np.arange(2 * images)

    def drawn(name: str, columns: int) -> np.ndarray:
        found = generator.normal(size=(len(truth), columns))
        found[:, 0] += np.sqrt(2) * norm.ppf(areas.get(name, 0.5)) * truth
        return found

    matrices = {name: drawn(name, columns) for name, columns in COLUMNS.items()}
    age = drawn("age", 1)
    matrices |= {"full": np.hstack([matrices["lungs"], matrices["outside"]]), "age": np.hstack([age, age**2])}
    matrices["sex"] = (generator.random((len(truth), 1)) < 0.5).astype(float)
    plan = draw_folds((~truth).astype(int), patients, ["positive", "others"], 5, 1, seed)
    with one_thread():
        out_of_fold = {name: scores(matrix, truth, plan) for name, matrix in matrices.items()}
    ids = {
        "full": evidence.FULL,
        "lungs": evidence.LUNGS_ALONE,
        "outside": evidence.MASKED_OUT,
        "shape": evidence.MASKED_REGION,
        "border": evidence.BORDER,
        "files": evidence.FILES,
        "age": evidence.AGE,
        "sex": evidence.SEX,
    }
    results = [
        Result(ids[name], name, "", "", roc_auc(one, truth, patients, folds=plan.folds))
        for name, one in out_of_fold.items()
    ]
    # All images are of one hospital and one view.
    same = roc_auc(np.zeros((1, len(truth))), truth, patients)
    results += [Result(name, name, "", "", same) for name in (evidence.METADATA, evidence.VIEW)]

    def difference(one: str, other: str) -> Metric:
        return auc_difference((out_of_fold[one], out_of_fold[other]), truth, patients, seed, plan.folds)

    paired = {
        evidence.OUTSIDE_V_SHAPE: difference("outside", "shape"),
        evidence.LUNGS_V_FULL: difference("lungs", "full"),
    }
    return Evidence(results, None, "covid", shared_sites=True, differences=paired)


def code(images: int, areas: dict[str, float], seed: int) -> str:
    """Return the conclusion of one data set."""
    resampling.RESAMPLES = 400  # what hundreds of data sets need
    return conclude(simulate(images, areas, seed)).code


def main() -> None:
    """Simulate every cell and print the rates beside what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200, help="data sets of each kind and size (default: 200)")
    sets = parser.parse_args().sets
    kinds = dict.fromkeys((one.title, one.images) for one in CELLS)
    areas = {(one.title, one.images): one.areas for one in CELLS}
    missed = False
    print(f"| data | images a class | conclusions of {sets} | asked |\n| --- | --- | --- | --- |")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for title, images in kinds:
            running = [pool.submit(code, images, areas[title, images], seed) for seed in range(sets)]
            counts = Counter(one.result() for one in running)
            asked = []
            for cell in CELLS:
                if (cell.title, cell.images) == (title, images):
                    hits = sum(counts[name] for name in cell.codes)
                    low, high = binom.ppf(0.001, sets, cell.least), binom.ppf(0.999, sets, cell.most)
                    missed |= not low <= hits <= high
                    bound = f"at least {cell.least:.2f}" if cell.least else f"at most {cell.most:.2f}"
                    asked.append(f"{' or '.join(cell.codes)} {hits / sets:.2f}, {bound}")
            rates = ", ".join(f"{name} {count / sets:.2f}" for name, count in counts.most_common())
            print(f"| {title} | {images} | {rates} | {'; '.join(asked)} |", flush=True)
    sys.exit(missed)


if __name__ == "__main__":
    main()
