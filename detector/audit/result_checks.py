"""Checks of the result: how much can a figure of so many images, so distributed, say?"""

from __future__ import annotations

from detector.audit.check import Check, Run
from detector.audit.metrics import CALIBRATION
from detector.statistics.probabilities import Calibration

# From here on, calling everything the larger class is right three times in four.
IMBALANCED = 3.0


def size(run: Run) -> Check:
    """Tell how much a result of so few images can say."""
    acc, area = run.outcome.evaluation.acc, run.outcome.evaluation.auc
    patients = len(set(run.extractor.patients[run.outcome.held_out]))
    wide = acc.high - acc.low
    no_error = f" No pair was ranked wrongly; that none could be, it does not mean: AUC {area.low:.2f}-{area.high:.2f}."
    return Check(
        "size",
        f"{acc.n} held-out images of {patients} patients: accuracy {acc.value:.2f} means somewhere in "
        f"{acc.low:.2f}-{acc.high:.2f}.",
        "A difference smaller than this interval is chance." + (no_error if area.value == 1.0 else ""),
        "Run: --folds 5 --repeats 5, which judges every image." if wide > 0.1 else "",
        wide > 0.1,
        {"images": acc.n, "patients": patients, "interval_width": wide},
    )


def imbalance(run: Run) -> Check | None:
    """Tell what always calling the largest class would score; None where the classes are about equal."""
    evaluation, counts = run.outcome.evaluation, run.outcome.evaluation.confusion.sum(axis=1)
    if counts.max() < IMBALANCED * max(counts.min(), 1):
        return None
    largest, share = evaluation.classes[int(counts.argmax())], counts.max() / counts.sum()
    listing = ", ".join(f"{n} {name}" for name, n in zip(evaluation.classes, counts, strict=True))
    return Check(
        "imbalance",
        f"The classes are unequal ({listing}): calling everything {largest} is right in {share:.2f}.",
        f"Accuracy {evaluation.acc.value:.2f} has to be compared with that.",
        "Look at sensitivity and specificity.",
        evaluation.acc.low <= share,
        {"counts": counts.tolist(), "largest_share": share},
    )


def calibration(run: Run) -> Check | None:
    """Tell whether probabilities mean what they say; None where that cannot be estimated."""
    found = run.figures[CALIBRATION]
    if not isinstance(found, Calibration):
        return None
    slope, intercept = found.slope, found.intercept
    off = [
        words
        for words, wrong in (
            ("too sure", slope.high < 1),
            ("not sure enough", slope.low > 1),
            ("too low", intercept.low > 0),
            ("too high", intercept.high < 0),
        )
        if wrong
    ]
    return Check(
        "calibration",
        f"Calibration slope {slope.value:.2f} ({slope.low:.2f}-{slope.high:.2f}), intercept {intercept.value:.2f} "
        f"({intercept.low:.2f}-{intercept.high:.2f}).",
        f"Probabilities are {' and '.join(off)}." if off else "",
        "Do not read 0.9 as nine in ten." if off else "",
        bool(off),
        {"slope": slope, "intercept": intercept},
    )
