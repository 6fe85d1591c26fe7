"""What predictions are worth: metrics, validity checks, subgroups, and all of it in one sentence.

The one way there, for a training run, for a model or a table of predictions on a labelled folder, and for each external
test set of an audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from detector.audit.checks import APART, NOT_ASSESSED, Check, Run, run_checks
from detector.audit.evidence import (
    BORDER,
    BORDER_ADJUSTED,
    CHANCE,
    FILES,
    INCONCLUSIVE,
    METADATA,
    MIXED,
    NO_SIGNAL,
    SHORTCUT,
    SOURCES,
    STRATIFIED,
)
from detector.audit.metrics import compute_metrics
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.files.values import years
from detector.statistics.evaluation import Evaluation, evaluate
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor, ImplausibleImage


@dataclass(frozen=True)
class Subgroup:
    """A result among the images of which a property has a value; unavailable where a class has too few of them."""

    property: str
    value: str
    n_images: int
    n_patients: int
    sensitivity: Metric
    specificity: Metric
    roc_auc: Metric


@dataclass(frozen=True)
class Judgement:
    """What predictions are worth, beside their `Evaluation`."""

    metrics: Mapping[str, Metric]
    checks: Sequence[Check]
    subgroups: Sequence[Subgroup]
    conclusion: Verdict


def judge(
    extractor: FeatureExtractor,
    evaluated: EvaluatedHead,
    seed: int,
    balanced: bool = True,
    prevalence: float | None = None,
    groups: np.ndarray | None = None,
    implausible: Sequence[ImplausibleImage] = (),
) -> Judgement:
    """Return what predictions are worth.

    Parameters
    ----------
    extractor : FeatureExtractor
        All images of the run, of which `evaluated` has the predictions of those that were held out.
    seed, balanced, prevalence
        As `compute_metrics` takes them.
    groups : ndarray of shape (n,), optional
        What the split kept whole; by default patients.
    """
    metrics = compute_metrics(extractor, evaluated, seed, balanced, prevalence)
    kept = extractor.patients if groups is None else groups
    checks = run_checks(Run(extractor, evaluated, metrics, kept, implausible))
    found = verdict(evaluated.evaluation, metrics, checks)
    return Judgement(metrics, checks, subgroups(extractor, evaluated), found)


# A mean can hide a group that differs.

AGES = (0, 18, 40, 60, 80, 130)  # years, from and below


def _sex(image: Image) -> str:
    cell = image.row.get("sex", "")
    return "" if clinical.is_missing(cell) else cell.strip().upper()


def _age_band(image: Image) -> str:
    age = years(image.row.get("age", ""))
    return next((f"{low}-{high - 1}" for low, high in pairwise(AGES) if age is not None and low <= age < high), "")


PROPERTIES: Mapping[str, Callable[[Image], str]] = {
    "sex": _sex,
    "age": _age_band,
    "view": lambda image: image.view,
    "data set": lambda image: image.source,
}


def subgroups(extractor: FeatureExtractor, evaluated: EvaluatedHead) -> list[Subgroup]:
    """Return the result by sex, age, view and data set, where manifests know them."""
    images = [extractor.dataset.images[row] for row in evaluated.held_out]
    every, classes = evaluated.predictions, evaluated.evaluation.classes
    positive, table = classes.index(evaluated.evaluation.positive), []
    for name, value_of in PROPERTIES.items():
        values = np.array([value_of(image) for image in images])
        # Bands of age by their number: 0-17 before 18-39 before 80-129.
        for value in sorted(set(values.tolist()) - {""}, key=lambda text: (name == "age" and len(text), text)):
            rows = np.flatnonzero(values == value)
            predictions = replace(
                every,
                labels=every.labels[rows],
                patients=every.patients[rows],
                probabilities=every.probabilities[:, rows],
                predicted=every.predicted[:, rows],
                folds=every.folds[:, rows],
            )
            n_positive = int((predictions.labels == positive).sum())
            metrics = [too_few(n_positive, len(rows) - n_positive, "images")] * 3
            if FEWEST <= n_positive <= len(rows) - FEWEST:
                found = evaluate(predictions, classes, positive)
                metrics = [found.sensitivity, found.specificity, found.roc_auc]
            table.append(Subgroup(name, value, len(rows), len(set(predictions.patients)), *metrics))
    return table


# The sentence

COPIES, NEVER_PREDICTED, NONE_FOUND = "duplicates", "class_never_predicted", "no_shortcut_found"
# Checks of what may predict the class without the disease, the worst first: the words, the baseline, and the ROC AUC
# that is left among images in which it does not differ.
SHORTCUTS = {
    "site_and_view": ("site and view alone reach", METADATA, STRATIFIED),
    "image_border": ("the outer 10 % of the image alone reaches", BORDER, BORDER_ADJUSTED),
    "file_properties": ("size, format, colour and brightness alone reach", FILES, ""),
    "age_groups": ("", "", ""),
    "views": ("", "", ""),
}
LEFT = {STRATIFIED: "within one site and view", BORDER_ADJUSTED: "among images with similar borders"}
PRESENT_ABOVE = {source.id: source.above for source in SOURCES}


@dataclass(frozen=True)
class Verdict:
    """What a result is worth in one sentence, what to do next, and what a user of the saved model has to know.

    The `code` is ``"shortcut"``, ``"mixed"``, ``"no_signal"``, ``"inconclusive"``, ``"duplicates"``,
    ``"class_never_predicted"`` or ``"no_shortcut_found"``.
    """

    code: str
    message: str
    recommendation: str
    for_use: str

    @property
    def warns(self) -> bool:
        """Whether anything is wrong with the result."""
        return self.code != NONE_FOUND


def verdict(evaluation: Evaluation, metrics: Mapping[str, Metric], checks: Sequence[Check]) -> Verdict:
    """Return what a result is worth: what makes it worthless first; metrics and checks are those of `judge`."""
    area, named = evaluation.roc_auc, {check.id: check for check in checks}
    warned = [named[name] for name in SHORTCUTS if name in named and named[name].warns]
    weighed = [(check, *_weigh(check, area, metrics)) for check in warned]
    present = [(check, explains, found) for check, is_present, explains, found in weighed if is_present]

    def doubtful(code: str, found: str, by: Check) -> Verdict:
        return Verdict(
            code, f"{found}.", by.recommendation, f"Do not rely on these probabilities. In training: {found}."
        )

    for check, explains, found in present:
        if explains:
            disease = "COVID-19" if evaluation.positive.lower().startswith("covid") else evaluation.positive
            message = f"This result says nothing about {disease}: {found}."
            return Verdict(SHORTCUT, message, check.recommendation, f"Do not use these probabilities: {found}.")
    if not area.available:
        return doubtful(INCONCLUSIVE, f"ROC AUC is not estimable: {area.reason}", named["chance"])
    result = f"ROC AUC {area.short}"
    if area.low <= CHANCE:
        what = "worse than chance" if area.high < CHANCE else "compatible with guessing"
        return doubtful(NO_SIGNAL, f"{result} is {what}", named["chance"])
    for name, code, words in (
        ("duplicates", COPIES, "cannot be trusted"),
        ("predicted_classes", NEVER_PREDICTED, "is of no use"),
    ):
        if name in named and named[name].warns:
            return doubtful(code, f"{result} {words}: {named[name].message}", named[name])
    if present:
        check, _, found = present[0]
        return doubtful(MIXED, f"{result} may rest on a shortcut: {found}", check)
    unknown = [one.title for one in checks if one in warned or (one.id in SHORTCUTS and one.status == NOT_ASSESSED)]
    rest = f" (undetermined: {', '.join(unknown)})" if unknown else ""
    images = area.n_positive + area.n_negative
    message = f"{result} on {images} images; no shortcut among those tested predicts the class{rest}."
    return Verdict(NONE_FOUND, message, "Test the model on images of another hospital.", f"In training: {message}")


def _weigh(check: Check, area: Metric, metrics: Mapping[str, Metric]) -> tuple[bool, bool, str]:
    """Return of what a check warns whether it is shown to predict the class, whether nothing else is, and words."""
    words, baseline, left = SHORTCUTS[check.id]
    alone, rest, apart = metrics.get(baseline), metrics.get(left), check.message == APART
    if alone is None or not alone.available:
        return apart or alone is None, apart, check.message
    found, is_present = f"{words} ROC AUC {alone.short}", apart or alone.low > PRESENT_ABOVE[baseline]
    if apart or rest is None or not rest.available:
        return is_present, apart or not area.available or area.low <= alone.high, found
    return is_present, rest.low <= CHANCE, f"{found}; {LEFT[left]} it is {rest.short}"
