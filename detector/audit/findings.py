"""The findings that a conclusion may rest on, each with its threshold and where that comes from."""

from __future__ import annotations

from detector.audit.evidence import Evidence, Reason
from detector.audit.experiments import (
    AGE,
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
    SAME_SITE,
    SAME_SITE_LUNGS,
    SEX,
    VIEW,
    WITHIN,
)
from detector.audit.linear_baseline import SUSPICIOUS
from detector.statistics.metric import Metric

CHANCE = 0.5
# Half of what lies above chance: a classifier that keeps more of it than it loses did not need what was taken away.
# The experiment is Maguolo and Nanni's (Information Fusion 76, 2021); this line is drawn here.
KEPT = 0.5
# "Excellent" discrimination begins at 0.8 (Hosmer, Lemeshow, Sturdivant, "Applied Logistic Regression", 2013, 5.2.4).
# Sites, or files, that are separated at 0.8 leave little for the disease to add.
EXCELLENT = 0.8
# "Outstanding" begins at 0.9 (same source). Brightness, which follows the disease, is no more than a mean and a spread:
# what exceeds this is size, format or colour of the files, or exposure.
OUTSTANDING = 0.9
# More than half of the controls predicted positive: a coin would predict fewer. DeGrave, Janizek and Lee (Nature
# Machine Intelligence 3, 2021) show the same failure on hospitals.
MOST = 0.5
# A fall by this much, on images that differ in site only, is more than folds make (their spread is about 0.02 here).
FALL = 0.1
# What holds no pixel of the lungs predicts the class when the lower end of its interval lies above this: several such
# experiments are looked at, and of as many intervals one misses 0.5 by luck now and then.
PREDICTS = 0.55

# Baselines that hold nothing of the lungs. Those of the file are not among them: brightness follows the disease, too.
FOREIGN = (BORDER, METADATA, VIEW, SEX, AGE)
# Experiments on images that the site does not separate: a signal in the lungs is there, too.
WITHOUT_SITE = (SAME_SITE, SAME_SITE_LUNGS, WITHIN)
CONTROLS_POSITIVE = "controls_predicted_positive"  # as in audit.json; no experiment of its own


def kept(part: Metric, whole: Metric) -> float:
    """Return the share of what lies above chance that is left."""
    return (part.point - CHANCE) / (whole.point - CHANCE)


def predicts_around_the_lungs(evidence: Evidence) -> bool:
    """Say whether what is left without the lungs predicts the class, and clearly better than shapes do.

    Opacities at a lung's border move the border that is found, and with it the masked region: what its shape predicts,
    and what a network reads from the lung mask, may be the disease. Clearly: the intervals do not meet.
    """
    shapes = [area.high for name in (MASKED_REGION, LUNG_MASK) if (area := evidence[name])]
    without = evidence[MASKED_OUT]
    return without is not None and without.low > max([PREDICTS, *shapes])


def little_left_without_lungs(evidence: Evidence, whole: Metric) -> bool:
    """Say whether the masked-out image keeps less than half of the signal, or no more than its masked region's shape.

    The shape of the masked region, without a pixel of the image, is that of the lungs. Where value and both bounds of
    what is left are no higher than those of the shape, there is no sign of anything else outside the lungs.
    """
    without, region = evidence[MASKED_OUT], evidence[MASKED_REGION]
    if without is None:
        return False
    by_shape = region is not None and (
        region.low >= without.low and region.point >= without.point and region.high >= without.high
    )
    return kept(without, whole) < KEPT or by_shape


def predicts_without_lungs(evidence: Evidence) -> list[str]:
    """Return what predicts the class by itself, though no pixel of the lungs goes into it."""
    names = [name for name in FOREIGN if (area := evidence[name]) and area.low > PREDICTS]
    return [MASKED_OUT, *names] if predicts_around_the_lungs(evidence) else names


def unsettled(evidence: Evidence) -> list[Reason]:
    """Return the baselines that would be a shortcut, were they clearly above chance in so few images."""
    return [
        Reason(f"{evidence.title(name)}: ROC AUC {area.short}, not clearly above chance", (name,))
        for name in FOREIGN
        if (area := evidence[name]) and area.point >= SUSPICIOUS and area.low <= PREDICTS
    ]


def against_the_lungs(evidence: Evidence) -> list[Reason]:
    """Return where the site cannot help, and the classes are not shown to be separated: same-site controls, elsewhere.

    A signal in the lungs would separate positives from controls of their site, images of one site and view, and those
    of an external test set.
    """
    return [
        Reason(f"{one.title}: ROC AUC {one.metric.short}, not shown to be above chance", (one.id,))
        for one in evidence.results
        if (one.id in WITHOUT_SITE or one.group == EXTERNAL) and one.metric.available and one.metric.low <= CHANCE
    ]


def reasons_of_files(evidence: Evidence) -> list[Reason]:
    """Return what the file properties predict, brightness among them, which the disease may change."""
    files = evidence[FILES]
    if files is None or files.low <= PREDICTS:
        return []
    return [Reason(f"{evidence.title(FILES)}: ROC AUC {files.short}; brightness may follow the disease", (FILES,))]


def reasons_for_a_shortcut(evidence: Evidence, whole: Metric) -> tuple[list[Reason], bool]:
    """Return what speaks for a shortcut, and whether controls do so or only what is outside the lungs."""
    without, controls_positive = evidence[MASKED_OUT], evidence.controls_positive
    reasons = []
    if without and predicts_around_the_lungs(evidence) and kept(without, whole) >= KEPT:
        text = f"{evidence.title(MASKED_OUT)}: ROC AUC {without.point:.2f} (full image: {whole.point:.2f})"
        reasons.append(Reason(text, (FULL, MASKED_OUT)))
    outside = len(reasons)
    if controls_positive and controls_positive.available and controls_positive.low > MOST:
        hits = round(controls_positive.point * controls_positive.n_negative)
        of = f"{hits} of {controls_positive.n_negative} radiographs of other findings from the same site"
        text = f"{of} are predicted {evidence.positive}"
        reasons.append(Reason(text, (CONTROLS_POSITIVE,)))
    if (sites := evidence[CONTROLS_V_OTHERS]) and sites.low > EXCELLENT:
        # Controls have other findings, so that they differ from normal images by more than their site.
        by = "by their findings" if evidence.shared_sites else "by their site or by their findings"
        text = f"images without the disease are separated {by} (ROC AUC {sites.short})"
        reasons.append(Reason(text, (CONTROLS_V_OTHERS,)))
    by_controls = len(reasons) > outside
    if not reasons:
        return [], by_controls
    if (files := evidence[FILES]) and files.low > EXCELLENT:
        reasons.append(Reason(f"{evidence.title(FILES)} reach ROC AUC {files.point:.2f}", (FILES,)))
    if (disease := evidence[SAME_SITE]) and whole.point - disease.point >= FALL:
        ids: tuple[str, ...]
        text, ids = f"against controls of the same site the ROC AUC falls to {disease.short}", (SAME_SITE,)
        if only := evidence[SAME_SITE_LUNGS]:
            text, ids = f"{text}, with the lungs alone to {only.short}", (SAME_SITE, SAME_SITE_LUNGS)
        reasons.append(Reason(text, ids))
    for one in evidence.results:
        if one.group == EXTERNAL and one.metric.available and whole.point - one.metric.point >= FALL:
            reasons.append(Reason(f"on {one.title} the ROC AUC falls to {one.metric.short}", (one.id,)))
    return reasons, by_controls


def known(evidence: Evidence) -> list[Reason]:
    """Return what is known, as one reason: the full image, the lungs alone, without them, and the baselines."""
    always = (FULL, LUNGS_ALONE, MASKED_OUT, MASKED_REGION, BORDER, FILES)
    also = [name for name in (METADATA, VIEW, SEX, AGE) if (area := evidence[name]) and area.point > PREDICTS]
    names = [name for name in (*always, *also) if evidence[name]]
    text = ", ".join(f"{evidence.title(name)} {evidence.metric(name).short}" for name in names)
    return [Reason(f"ROC AUC: {text}", tuple(names))]
