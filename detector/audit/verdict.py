"""What a result is worth, in one sentence, from its metrics and checks: the same for training, evaluation and use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detector.audit.checks import APART, CHANCE, NOT_ASSESSED, Check
from detector.audit.evidence import (
    BORDER,
    BORDER_ADJUSTED,
    FILES,
    INCONCLUSIVE,
    METADATA,
    MIXED,
    NO_SIGNAL,
    SHORTCUT,
    SOURCES,
    STRATIFIED,
)
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric

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
    """What a result is worth.

    Attributes
    ----------
    code : str
        ``"shortcut"``, ``"mixed"``, ``"no_signal"``, ``"inconclusive"``, ``"duplicates"``,
        ``"class_never_predicted"`` or ``"no_shortcut_found"``.
    message : str
        One sentence.
    recommendation : str
        What to do next.
    for_use : str
        What a user of the saved model has to know before its probabilities.
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
    """Return what a result is worth: what makes it worthless first.

    Parameters
    ----------
    evaluation : Evaluation
    metrics : mapping of str to Metric
        As `detector.audit.metrics.compute_metrics` returns them.
    checks : sequence of Check
        As `detector.audit.checks.run_checks` returns them.
    """
    area, named = evaluation.roc_auc, {check.id: check for check in checks}
    warned = [named[name] for name in SHORTCUTS if name in named and named[name].warns]
    present = [check for check in warned if _is_present(check, metrics)]
    for check in present:
        if _explains_all(check, area, metrics):
            return _worthless(check, evaluation, metrics)
    if not area.available:
        return _doubtful(INCONCLUSIVE, f"ROC AUC is not estimable: {area.reason}", named["chance"].recommendation)
    result = f"ROC AUC {area.short}"
    if area.low <= CHANCE:
        what = "worse than chance" if area.high < CHANCE else "compatible with guessing"
        return _doubtful(NO_SIGNAL, f"{result} is {what}", named["chance"].recommendation)
    for name, code, words in (
        ("duplicates", COPIES, "cannot be trusted:"),
        ("predicted_classes", NEVER_PREDICTED, "is of no use:"),
    ):
        if name in named and named[name].warns:
            return _doubtful(code, f"{result} {words} {named[name].message}", named[name].recommendation)
    if present:
        found = f"{result} may rest on a shortcut: {_found(present[0], metrics)}"
        return _doubtful(MIXED, found, present[0].recommendation)
    images = area.n_positive + area.n_negative
    unknown = [one.title for one in checks if one in warned or (one.id in SHORTCUTS and one.status == NOT_ASSESSED)]
    rest = f" (undetermined: {', '.join(unknown)})" if unknown else ""
    message = f"{result} on {images} images; no shortcut among those tested predicts the class{rest}."
    return Verdict(NONE_FOUND, message, "Test the model on images of another hospital.", f"In training: {message}")


def _is_present(check: Check, metrics: Mapping[str, Metric]) -> bool:
    """Return whether what a check warns of is shown to predict the class, as an audit's sources are."""
    baseline = SHORTCUTS[check.id][1]
    alone = metrics.get(baseline)
    return check.message == APART or alone is None or (alone.available and alone.low > PRESENT_ABOVE[baseline])


def _explains_all(check: Check, area: Metric, metrics: Mapping[str, Metric]) -> bool:
    """Return whether nothing shows that more than the shortcut predicts the class."""
    _, baseline, left = SHORTCUTS[check.id]
    alone, rest = metrics.get(baseline), metrics.get(left)
    if check.message == APART or alone is None:
        return check.message == APART
    if rest is not None and rest.available:
        return rest.low <= CHANCE
    return not area.available or area.low <= alone.high


def _worthless(check: Check, evaluation: Evaluation, metrics: Mapping[str, Metric]) -> Verdict:
    """Return the verdict on a result that a shortcut explains."""
    positive, others = evaluation.positive, [one for one in evaluation.classes if one != evaluation.positive]
    disease = "COVID-19" if positive.lower().startswith("covid") else positive
    found = use = _found(check, metrics)
    if check.message == APART:
        other = others[0] if len(others) == 1 else "other"
        use = f"in training, every {positive} image came from other sites than every {other} image"
    message = f"This result says nothing about {disease}: {found}."
    return Verdict(SHORTCUT, message, check.recommendation, f"Do not use these probabilities: {use}.")


def _doubtful(code: str, found: str, recommendation: str) -> Verdict:
    return Verdict(code, f"{found}.", recommendation, f"Do not rely on these probabilities. In training: {found}.")


def _found(check: Check, metrics: Mapping[str, Metric]) -> str:
    """Return what predicts the class without the disease, and what is left without it."""
    words, baseline, left = SHORTCUTS[check.id]
    alone, rest = metrics.get(baseline), metrics.get(left)
    if alone is None or not alone.available:
        return check.message
    found = f"{words} ROC AUC {alone.short}"
    return f"{found}; {LEFT[left]} it is {rest.short}" if rest is not None and rest.available else found
