"""What an audit's metrics say: every rule, with its threshold and where it comes from, in one place."""

from __future__ import annotations

from collections.abc import Sequence

from detector.audit.evidence import Conclusion, Evidence, Reason
from detector.audit.experiments import (
    AGE,
    ALIKE,
    BORDER,
    CONTROLS_V_OTHERS,
    EXTERNAL,
    FILES,
    FULL,
    LUNG_MASK,
    LUNGS_ALONE,
    MASKED_OUT,
    MASKED_REGION,
    METADATA,
    PERMUTED,
    SAME_SITE,
    SAME_SITE_LUNGS,
    SEX,
    VIEW,
)
from detector.statistics.metric import Metric

CHANCE = 0.5
# Half of what lies above chance: a classifier that keeps more of it than it loses did not need what was taken away.
# The experiment is Maguolo and Nanni's (Information Fusion 76, 2021); this line is drawn here.
KEPT = 0.5
# "Excellent" discrimination begins at 0.8 (Hosmer, Lemeshow, Sturdivant, "Applied Logistic Regression", 2013, 5.2.4).
# Sites that are separated at 0.8 leave little for the disease to add.
EXCELLENT = 0.8
# More than half of the controls predicted positive: a coin would predict fewer. DeGrave, Janizek and Lee (Nature
# Machine Intelligence 3, 2021) show the same failure on hospitals.
MOST = 0.5
# A fall by this much, on images that differ in site only, is more than folds make (their spread is about 0.02 here).
FALL = 0.1
# What holds no pixel of the lungs predicts the class when the lower end of its interval lies above this: several such
# experiments are looked at, and of as many intervals one misses 0.5 by luck now and then.
PREDICTS = 0.55
# An interval wider than this settles nothing that half of what lies above chance could.
WIDE = 0.2

# Baselines that hold nothing of the lungs. Those of the file are not among them: brightness follows the disease, too.
FOREIGN = (BORDER, METADATA, VIEW, SEX, AGE)
LEAKAGE, NO_SIGNAL, SHORTCUT, MIXED = "leakage_suspected", "no_signal", "shortcut", "mixed"
LUNGS, INCONCLUSIVE = "lungs", "inconclusive"


def kept(part: Metric, whole: Metric) -> float:
    """Return the share of what lies above chance that is left."""
    return (part.point - CHANCE) / (whole.point - CHANCE)


def conclude(evidence: Evidence) -> Conclusion:
    """Return what the metrics of an audit say.

    The order of the rules: is the audit sound, is there a shortcut without the lungs, is there a signal at all, do the
    lungs carry it, and is it known?

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Conclusion
    """
    whole, permuted = evidence[FULL], evidence[PERMUTED]
    if permuted and not permuted.low <= CHANCE <= permuted.high:
        reason = Reason(f"permuted labels are predicted with ROC AUC {permuted.short}", (PERMUTED,))
        return _conclusion(
            LEAKAGE, "Something leaks the classes, so no other metric of this audit means anything.", [reason]
        )
    if whole is None or whole.low <= CHANCE:
        return _without_signal(evidence, whole)
    against = _reasons_for_site(evidence, whole)
    if against:
        what = "site" if evidence.controls_positive or evidence[CONTROLS_V_OTHERS] else "something outside the lungs"
        return _conclusion(SHORTCUT, f"This model recognises {what}, not the disease.", against)
    beside, only = _predicts_without_lungs(evidence), evidence[LUNGS_ALONE]
    if beside and only and only.low > CHANCE:
        first = Reason(
            f"of ROC AUC {whole.point:.2f}, {only.point:.2f} is left in the lungs alone", (FULL, LUNGS_ALONE)
        )
        return _conclusion(
            MIXED,
            "Both the lungs and something outside them predict the class, and this data set cannot separate the two.",
            [first, *beside],
        )
    if beside:
        return _conclusion(SHORTCUT, "This model recognises something outside the lungs, not the disease.", beside)
    little = _little_left_without_lungs(evidence, whole)
    if little and only and only.low > CHANCE and kept(only, whole) >= KEPT:
        return _conclusion(
            LUNGS, "The signal that this model uses is in the lungs; no shortcut was found.", _known(evidence)
        )
    return _conclusion(
        INCONCLUSIVE,
        f"These experiments do not show what this model learned. {_missing(evidence)}",
        _known(evidence),
    )


def _conclusion(code: str, message: str, reasons: Sequence[Reason]) -> Conclusion:
    ids = dict.fromkeys(name for reason in reasons for name in reason.ids)
    return Conclusion(code, message, [reason.text for reason in reasons], list(ids))


def _without_signal(evidence: Evidence, whole: Metric | None) -> Conclusion:
    """Conclude where the model itself may be chance: baselines first, since more images would not mend these."""
    foreign = [name for name in (*FOREIGN, FILES) if (area := evidence[name]) and area.low > PREDICTS]
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
            "The data set itself gives the class away without the lungs, though this model did not learn it; more "
            "images of this kind would not help.",
            [*reasons, own],
        )
    if whole is None:
        return _conclusion(INCONCLUSIVE, "Too few images to conclude anything; add images of other patients.", [own])
    if whole.high < CHANCE:
        return _conclusion(NO_SIGNAL, "This model is worse than chance: check whether the labels are swapped.", [own])
    return _conclusion(NO_SIGNAL, "This model is not shown to have learned anything; it needs more images.", [own])


def predicts_around_the_lungs(evidence: Evidence) -> bool:
    """Say whether what is left without the lungs predicts the class, and clearly better than shapes do.

    Opacities at a lung's border move the border that is found, and with it the masked region: what its shape predicts,
    and what a network reads from the lung mask, may be the disease. Clearly: the intervals do not meet.
    """
    shapes = [area.high for name in (MASKED_REGION, LUNG_MASK) if (area := evidence[name])]
    without = evidence[MASKED_OUT]
    return without is not None and without.low > max([PREDICTS, *shapes])


def _little_left_without_lungs(evidence: Evidence, whole: Metric) -> bool:
    """Say whether the masked-out image keeps less than half of the signal, or no more than its masked region's shape.

    The shape of the masked region, without a pixel of the image, is that of the lungs. Where it surely predicts the
    class, and as well as all that is left, there is no sign of anything else outside the lungs.
    """
    without, region = evidence[MASKED_OUT], evidence[MASKED_REGION]
    if without is None:
        return False
    by_shape = region is not None and region.low > CHANCE and region.point >= without.point
    return kept(without, whole) < KEPT or by_shape


def _predicts_without_lungs(evidence: Evidence) -> list[Reason]:
    """Return what predicts the class by itself, though no pixel of the lungs goes into it."""
    names = [name for name in FOREIGN if (area := evidence[name]) and area.low > PREDICTS]
    if predicts_around_the_lungs(evidence):
        names.insert(0, MASKED_OUT)
    reasons = [Reason(f"{evidence.title(name)}: ROC AUC {evidence.metric(name).short}", (name,)) for name in names]
    if reasons and (alike := evidence[ALIKE]):
        reasons.append(Reason(f"{evidence.title(ALIKE)}: ROC AUC {alike.short}", (ALIKE,)))
    return reasons


def _reasons_for_site(evidence: Evidence, whole: Metric) -> list[Reason]:
    without, called = evidence[MASKED_OUT], evidence.controls_positive
    reasons = []
    if without and predicts_around_the_lungs(evidence) and kept(without, whole) >= KEPT:
        text = f"of ROC AUC {whole.point:.2f}, {without.point:.2f} is left with the lungs masked out"
        reasons.append(Reason(text, (FULL, MASKED_OUT)))
    if called and called.available and called.low > MOST:
        hits = round(called.point * called.n_negative)
        of = f"{hits} of {called.n_negative} radiographs of other findings from the same site"
        text = f"{of} are predicted {evidence.positive}"
        reasons.append(Reason(text, ()))
    if (sites := evidence[CONTROLS_V_OTHERS]) and sites.low > EXCELLENT:
        text = f"images without the disease are separated by their site alone (ROC AUC {sites.short})"
        reasons.append(Reason(text, (CONTROLS_V_OTHERS,)))
    if not reasons:
        return []
    if (files := evidence[FILES]) and files.low > EXCELLENT:
        reasons.append(Reason(f"{evidence.title(FILES)} alone reach ROC AUC {files.point:.2f}", (FILES,)))
    if (disease := evidence[SAME_SITE]) and whole.point - disease.point >= FALL:
        ids: tuple[str, ...]
        text, ids = f"against controls of the same site the ROC AUC falls to {disease.short}", (SAME_SITE,)
        if only := evidence[SAME_SITE_LUNGS]:
            text, ids = f"{text}, with the lungs alone to {only.short}", (SAME_SITE, SAME_SITE_LUNGS)
        reasons.append(Reason(text, ids))
    for one in evidence.results:
        if one.group == EXTERNAL and one.metric.available and whole.point - one.metric.point >= FALL:
            reasons.append(Reason(f"on {one.title} the ROC AUC falls to {one.metric.short}", (one.id,)))
    return reasons


def _known(evidence: Evidence) -> list[Reason]:
    """Return what is known, as one reason: the full image, the lungs alone, without them, and the baselines."""
    names = [name for name in (FULL, LUNGS_ALONE, MASKED_OUT, MASKED_REGION, BORDER, FILES) if evidence[name]]
    text = ", ".join(f"{evidence.title(name)} {evidence.metric(name).point:.2f}" for name in names)
    return [Reason(f"ROC AUC: {text}", tuple(names))]


def _missing(evidence: Evidence) -> str:
    """Say what would settle an inconclusive audit."""
    if not evidence[MASKED_OUT] or not evidence[LUNGS_ALONE]:
        return "Lungs were found in too few of the images: give lung masks (--masks)."
    missing = []
    if not evidence.shared_sites:
        missing.append("controls of the same site (--controls)")
    wide = [evidence.metric(name) for name in (FULL, MASKED_OUT, LUNGS_ALONE)]
    if any(area.high - area.low > WIDE for area in wide):
        missing.append("more images")
    missing += ["images of a second hospital (--external)", "sharper lung masks (--masks)"]
    shared = "Both classes come from the same sites. " if evidence.shared_sites else ""
    return f"{shared}What would: {', '.join(missing[:-1])}, or {missing[-1]}."
