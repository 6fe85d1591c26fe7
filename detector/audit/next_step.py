"""What to do after an audit: one recommendation for each conclusion."""

from __future__ import annotations

from detector.audit.evidence import INCONCLUSIVE, LEAKAGE, LUNGS, NO_SIGNAL, Conclusion, Evidence
from detector.audit.experiments import (
    AGE,
    BORDER,
    EXTERNAL,
    FULL,
    LUNGS_ALONE,
    MASKED_OUT,
    METADATA,
    SAME_SITES,
    SEX,
    VIEW,
)
from detector.audit.findings import CHANCE, FOREIGN, against_the_lungs, unsettled
from detector.statistics.metric import Metric

# An interval wider than this settles nothing that half of what lies above chance could.
WIDE = 0.2
NEXT = {
    LEAKAGE: "Report a bug: labels that were permuted among patients can be predicted by nothing in a data set.",
    NO_SIGNAL: "Add images of other patients: more folds add no information.",
}


def next_step(conclusion: Conclusion, evidence: Evidence) -> str:
    """Return what to do after a conclusion.

    Parameters
    ----------
    conclusion : Conclusion
    evidence : Evidence

    Returns
    -------
    str
        One or two sentences, in which ``{audit}`` stands for the command of the audit.
    """
    if conclusion.code == LUNGS:
        another = "another hospital than the external ones here" if _tested_elsewhere(evidence) else "another hospital"
        return f"Test the saved model on images of {another}: {{audit}} --external DIR -m MODEL."
    if conclusion.code == INCONCLUSIVE:
        return _missing(evidence)
    if (whole := evidence[FULL]) and conclusion.code == NO_SIGNAL and whole.high < CHANCE:
        return "Compare the folders of both classes with their source: the labels may be swapped."
    return NEXT.get(conclusion.code) or _against_a_shortcut(conclusion, evidence)


def _against_a_shortcut(conclusion: Conclusion, evidence: Evidence) -> str:
    """Return how to change the data set; another model on the same data would not help."""
    if not evidence.shared_sites and _has_controls(evidence):
        return (
            "Train with the controls of the same site as a class of the data set, or restrict the data to sites with "
            "both classes (build_covid_dataset.py --shared-sites-only)."
        )
    if not evidence.shared_sites:
        return (
            "Add controls of the same site (--controls), or restrict the data to sites with both classes "
            "(build_covid_dataset.py --shared-sites-only)."
        )
    carried = set(conclusion.carried_by)
    # Of images of the same sites, what site and view predict is what the view does.
    named = carried & {VIEW, SEX, AGE} or carried & {METADATA}
    steps = []
    if named:
        listed = " or ".join(evidence.title(name).removesuffix(" alone") for name in FOREIGN if name in named)
        steps.append(f"choose images in which the classes do not differ in {listed}")
    if not named or carried & {BORDER, MASKED_OUT}:
        steps.append(
            "look at the example images in the report for what differs between the classes outside the lungs, and "
            "remove it from the data set"
        )
    return f"Both classes come from the same sites: {'; '.join(steps)}. Then audit again."


def _missing(evidence: Evidence) -> str:
    """Return what would settle an inconclusive audit."""
    whole, without, only = evidence[FULL], evidence[MASKED_OUT], evidence[LUNGS_ALONE]
    if whole is None:
        return "Add images of other patients."
    if without is None or only is None:
        return "Lungs were found in too few of the images: give lung masks (--masks)."
    missing = []
    if not (evidence.shared_sites or _has_controls(evidence)):
        missing.append("controls of the same site (--controls)")
    if unsettled(evidence) or against_the_lungs(evidence) or any(_is_wide(area) for area in (whole, without, only)):
        missing.append("more images")
    if not _tested_elsewhere(evidence):
        missing.append("images of a second hospital (--external)")
    shared = "Both classes come from the same sites. " if evidence.shared_sites else ""
    listed = f"{', '.join(missing)}, or " if missing else ""
    return f"{shared}What would show it: {listed}sharper lung masks (--masks)."


def _has_controls(evidence: Evidence) -> bool:
    """Say whether controls were given, whatever could be computed of them."""
    return evidence.controls_positive is not None or any(one.group == SAME_SITES for one in evidence.results)


def _tested_elsewhere(evidence: Evidence) -> bool:
    return any(one.group == EXTERNAL and one.metric.available for one in evidence.results)


def _is_wide(area: Metric) -> bool:
    return area.high - area.low > WIDE
