"""What an audit's metrics say: the rules, in their order. The findings and their thresholds are in `findings`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from detector.audit.evidence import (
    INCONCLUSIVE,
    LEAKAGE,
    LUNGS,
    MIXED,
    NO_SIGNAL,
    SHORTCUT,
    Conclusion,
    Evidence,
    Reason,
)
from detector.audit.experiments import BORDER, BORDER_ADJUSTED, FILES, FULL, LUNGS_ALONE, MASKED_OUT, PERMUTED
from detector.audit.findings import (
    CHANCE,
    EXCELLENT,
    KEPT,
    OUTSTANDING,
    against_the_lungs,
    kept,
    known,
    little_left_without_lungs,
    predicts_without_lungs,
    reasons_for_a_shortcut,
    reasons_of_files,
    unsettled,
)
from detector.audit.next_step import next_step
from detector.statistics.metric import Metric


def conclude(evidence: Evidence) -> Conclusion:
    """Return what the metrics of an audit say, and what to do next.

    The order of the rules: is the audit sound, is there a signal at all, is there a shortcut without the lungs, do the
    lungs carry it, do the files predict the class, and is it known?

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Conclusion
    """
    found = _judge(evidence)
    return replace(found, recommendation=next_step(found, evidence))


def _judge(evidence: Evidence) -> Conclusion:
    """Return the conclusion of the first rule that fits."""
    whole, permuted = evidence[FULL], evidence[PERMUTED]
    if permuted and not permuted.low <= CHANCE <= permuted.high:
        reason = Reason(f"permuted labels are predicted with ROC AUC {permuted.short}", (PERMUTED,))
        return _conclusion(
            LEAKAGE, "Something leaks the classes, so no other metric of this audit means anything.", [reason]
        )
    if whole is None or whole.low <= CHANCE:
        return _without_signal(evidence, whole)
    against, by_controls = reasons_for_a_shortcut(evidence, whole)
    if against:
        what = "something outside the lungs"
        if by_controls:
            # Controls have other findings. Between the classes of one site, the site is no explanation at all.
            what = "other findings" if evidence.shared_sites else "the site or other findings"
        return _conclusion(SHORTCUT, f"This model recognises {what}, not the disease.", against)
    only = evidence[LUNGS_ALONE]
    by_lungs = only is not None and only.low > CHANCE
    if beside := predicts_without_lungs(evidence):
        return _beside_the_lungs(evidence, beside, by_lungs)
    unclear = [*unsettled(evidence), *against_the_lungs(evidence)]
    little = little_left_without_lungs(evidence, whole)
    by_files = reasons_of_files(evidence)
    certain_files = bool(by_files) and evidence.metric(FILES).low > OUTSTANDING
    lungs_suffice = only is not None and by_lungs and kept(only, whole) >= KEPT
    if lungs_suffice and little and not unclear and not certain_files:
        but = ", but properties of the files predict the class, too" if by_files else ""
        return _conclusion(
            LUNGS,
            f"The signal that this model uses is in the lungs; no shortcut was found{but}. Neither a shortcut nor "
            "another disease is excluded.",
            [*known(evidence), *by_files],
        )
    if by_files and evidence.metric(FILES).low > EXCELLENT:
        return _conclusion(
            MIXED if by_lungs else SHORTCUT,
            "Properties of the files predict the class by themselves, and this data set cannot separate them from the "
            "disease.",
            [*by_files, *known(evidence)],
        )
    return _conclusion(
        INCONCLUSIVE,
        "These experiments do not show what this model learned.",
        [*unclear, *by_files, *known(evidence)],
    )


def _beside_the_lungs(evidence: Evidence, names: list[str], by_lungs: bool) -> Conclusion:
    """Conclude where something predicts the class though no pixel of the lungs goes into it, and say what."""
    reasons = [Reason(f"{evidence.title(name)}: ROC AUC {evidence.metric(name).short}", (name,)) for name in names]
    if adjusted := evidence[BORDER_ADJUSTED]:
        reasons.append(Reason(f"{evidence.title(BORDER_ADJUSTED)}: ROC AUC {adjusted.short}", (BORDER_ADJUSTED,)))
    around = {MASKED_OUT, BORDER} & set(names)
    if by_lungs:
        whole, only = evidence.metric(FULL), evidence.metric(LUNGS_ALONE)
        left = f"{evidence.title(LUNGS_ALONE)}: ROC AUC {only.point:.2f} (full image: {whole.point:.2f})"
        beside = "something outside them" if around else f"something else ({_listed(evidence, names)})"
        return _conclusion(
            MIXED,
            f"Both the lungs and {beside} predict the class, and this data set cannot separate the two.",
            [Reason(left, (FULL, LUNGS_ALONE)), *reasons],
        )
    if MASKED_OUT in names:
        return _conclusion(SHORTCUT, "This model recognises something outside the lungs, not the disease.", reasons)
    return _conclusion(
        SHORTCUT,
        f"The class is predicted without the lungs (by {_listed(evidence, names)}), and not shown to be by the lungs.",
        reasons,
    )


def _listed(evidence: Evidence, names: Sequence[str]) -> str:
    return ", ".join(evidence.title(name).removesuffix(" alone") for name in names)


def _conclusion(code: str, message: str, reasons: Sequence[Reason]) -> Conclusion:
    """Return a conclusion without its recommendation."""
    ids = dict.fromkeys(name for reason in reasons for name in reason.ids)
    return Conclusion(code, message, [reason.text for reason in reasons], list(ids))


def _without_signal(evidence: Evidence, whole: Metric | None) -> Conclusion:
    """Conclude where the model itself may be chance: baselines first, since more images would not remove these."""
    foreign = predicts_without_lungs(evidence) + ([FILES] if reasons_of_files(evidence) else [])
    reasons = [
        Reason(f"{evidence.title(name)} predicts the class with ROC AUC {evidence.metric(name).short}", (name,))
        for name in foreign
    ]
    if whole is None:
        unknown = next((one.metric.reason for one in evidence.results if one.id == FULL), "it was not computed")
        own = Reason(f"the full image's ROC AUC is not estimable: {unknown}", (FULL,))
    else:
        chance = "" if whole.high < CHANCE else ", which may be chance"
        own = Reason(f"the full image's ROC AUC is {whole.short}{chance}", (FULL,))
    if foreign:
        return _conclusion(
            SHORTCUT,
            f"The class is predicted by {_listed(evidence, foreign)} alone, though this model is not shown to have "
            "learned that; more images of this kind would not help.",
            [*reasons, own],
        )
    own_and_unsettled = [own, *unsettled(evidence)]
    if whole is None:
        return _conclusion(INCONCLUSIVE, "Too few images to conclude anything.", own_and_unsettled)
    if whole.high < CHANCE:
        return _conclusion(
            NO_SIGNAL, "This model is worse than chance: check whether the labels are swapped.", own_and_unsettled
        )
    return _conclusion(NO_SIGNAL, "This model is not shown to have learned anything.", own_and_unsettled)
