"""Checks of the result: what can a metric of so many images, so distributed, show?"""

from __future__ import annotations

from detector import counted
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check, Run
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE
from detector.training.recipes import ProbeRecipe

# From here on, predicting the larger class always is right three times in four.
IMBALANCED = 3.0
WIDE = 0.1  # width of an interval of the accuracy from which a difference of a tenth may be chance
CHANCE = 0.5
LEAST_OFF = 0.1  # log odds by which probabilities are wrong on average: 2.5 percentage points at 50 %
FOLDS = 5  # that are recommended, at most


def _more_images(run: Run) -> str:
    """Return how more images can be tested: all of them, where only some were and folds are possible, or others."""
    labels = run.extractor.dataset.labels
    fewest = min(len(set(run.groups[labels == label])) for label in range(len(run.extractor.dataset.classes)))
    if len(run.evaluated.held_out) == len(labels) or fewest < 2:
        return "Add images of other patients."
    folds = min(FOLDS, fewest)
    return f"Evaluate every image: {run.command} --folds {folds} --repeats 5, or add images of other patients."


def _or_probe(run: Run) -> str:
    return "" if isinstance(run.recipe, ProbeRecipe) else ", or use --recipe probe"


def test_set_size(run: Run) -> Check:
    """Check how precise a result of so few images can be."""
    accuracy = run.evaluated.evaluation.accuracy
    if not accuracy.available:
        return Check("test_set_size", NOT_ASSESSED, accuracy.reason)
    images, patients = len(run.evaluated.held_out), accuracy.n_patients
    found = f"accuracy {accuracy.interval_text} with {counted(images, 'image')} of {counted(patients, 'patient')}"
    if accuracy.high - accuracy.low <= WIDE:
        return Check("test_set_size", PASS, found)
    return Check("test_set_size", WARN, found, _more_images(run))


def chance(run: Run) -> Check:
    """Check whether the model separates the classes at all, and in the right direction."""
    area = run.evaluated.evaluation.roc_auc
    if not area.available:
        return Check("chance", NOT_ASSESSED, area.reason, _more_images(run))
    if area.high < CHANCE:
        return Check(
            "chance", WARN, f"ROC AUC {area.short}: worse than chance", "Check whether the classes' labels are swapped."
        )
    if area.low <= CHANCE:
        return Check("chance", WARN, f"ROC AUC {area.short}: not shown to be better than chance", _more_images(run))
    return Check("chance", PASS, f"ROC AUC {area.short}")


def class_balance(run: Run) -> Check:
    """Check whether the accuracy exceeds that of predicting the largest class always."""
    evaluation, counts = run.evaluated.evaluation, run.evaluated.evaluation.confusion.sum(axis=1)
    largest, share = evaluation.classes[int(counts.argmax())], counts.max() / counts.sum()
    listing = ", ".join(f"{n} {name}" for name, n in zip(evaluation.classes, counts, strict=True))
    if counts.max() < IMBALANCED * max(counts.min(), 1):
        return Check("class_balance", PASS, listing)
    message = f"{listing}: predicting {largest} always is right in {share:.2f}"
    if evaluation.accuracy.low > share:
        return Check("class_balance", PASS, message)
    return Check("class_balance", WARN, message, "Read sensitivity and specificity instead of the accuracy.")


def calibration(run: Run) -> Check:
    """Check whether predicted probabilities are calibrated."""
    in_the_large, slope = run.metrics[IN_THE_LARGE], run.metrics[SLOPE]
    if not in_the_large.available:
        return Check("calibration", NOT_ASSESSED, in_the_large.reason)
    found = f"slope {slope.short}, in the large {in_the_large.short}"
    off = [
        words
        for words, wrong in (
            ("reversed", slope.available and slope.high < 0),
            ("overconfident", slope.available and 0 <= slope.high < 1),
            ("underconfident", slope.available and slope.low > 1),
            ("too low on average", in_the_large.low > 0 and in_the_large.point >= LEAST_OFF),
            ("too high on average", in_the_large.high < 0 and in_the_large.point <= -LEAST_OFF),
        )
        if wrong
    ]
    if off:
        return Check(
            "calibration",
            WARN,
            f"{found}: probabilities are {' and '.join(off)}",
            "Do not interpret probabilities as risks.",
        )
    # A slope without a bound says nothing of overconfidence, nor does an interval that holds both no relation (0) and
    # the ideal (1).
    if not slope.available or slope.low <= 0:
        return Check("calibration", NOT_ASSESSED, found)
    return Check("calibration", PASS, found)


def pooling(run: Run) -> Check:
    """Check whether the head reads the whole image: the tutorial's pooling reads the upper left of it."""
    if run.recipe.pooling != "tutorial":
        read = "lungs" if run.recipe.pooling == "lungs" else "whole image"
        return Check("pooling", PASS, f"the pooling covers the {read}")
    return Check(
        "pooling",
        WARN,
        "the tutorial's pooling sees the upper left third of the image (4 × 4 of 7 × 7 cells)",
        f"Read the whole image: {run.command} --pooling global{_or_probe(run)}.",
    )
