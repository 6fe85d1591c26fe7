"""What an audit's metrics say: the findings, the rules in their order, and what to do next.

Pure: from metrics with intervals to a conclusion. No image, no model and no file is looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from detector.audit.linear_baseline import SUSPICIOUS
from detector.statistics.metric import Metric

# Ids of experiments. A quantity that a training run has, too, has the same id there.
FULL, MASKED_OUT, MASKED_REGION = "full_image", "lungs_masked_out", "masked_region"
LUNGS_ALONE, LUNG_MASK = "lungs_only", "lung_mask"
STRATIFIED, BORDER_ADJUSTED = "roc_auc_stratified", "roc_auc_border_adjusted"
BORDER, FILES, METADATA = "border_baseline", "file_baseline", "metadata_baseline"
VIEW, SEX, AGE, CLINICAL = "view", "sex", "age", "clinical_columns"
CONTROLS_V_OTHERS, SAME_SITE, SAME_SITE_LUNGS = "controls_v_others", "same_site", "same_site_lungs_only"
PERMUTED = "permuted_labels"
OUTSIDE_V_SHAPE, OUTSIDE_V_MASK, LUNGS_V_FULL = "outside_v_shape", "outside_v_mask", "lungs_v_full"

SIGNAL, BASELINES = "Where is the signal?", "Baselines without the chest"
SAME_SITES, NEGATIVE = "Same-site controls", "Negative control"
EXTERNAL = "External test sets"
GROUPS = (SIGNAL, BASELINES, SAME_SITES, EXTERNAL, NEGATIVE)

NO_SIGNAL, SHORTCUT, MIXED, LUNGS, INCONCLUSIVE = "no_signal", "shortcut", "mixed", "lungs", "inconclusive"


@dataclass(frozen=True)
class Result:
    """A line of the audit.

    Attributes
    ----------
    id, title, group, question : str
    metric : Metric
        The ROC AUC.
    notes : tuple of str
    """

    id: str
    title: str
    group: str
    question: str
    metric: Metric
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the line as it stands in a JSON file."""
        names = ("id", "title", "group", "question", "notes")
        return {name: getattr(self, name) for name in names} | {"roc_auc": self.metric.as_json()}


@dataclass(frozen=True)
class Evidence:
    """What a conclusion is drawn from.

    Attributes
    ----------
    results : sequence of Result
    controls_positive : Metric or None
        Share of same-site controls that are predicted positive.
    positive : str
        The positive class.
    shared_sites : bool
        Whether both classes come from the same sites, so that controls of the same site would add nothing.
    differences : mapping of str to Metric
        Paired differences of ROC AUC, from the same images and folds: `OUTSIDE_V_SHAPE` and `OUTSIDE_V_MASK`, the lungs
        masked out minus the shape of the masked region, and minus that of the lung mask; `LUNGS_V_FULL`.
    """

    results: Sequence[Result]
    controls_positive: Metric | None
    positive: str
    shared_sites: bool = False
    differences: Mapping[str, Metric] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Metric | None:
        """Return the metric of an experiment; None where it was not made or cannot be computed."""
        return self.metrics.get(name)

    def metric(self, name: str) -> Metric:
        """Return the metric of an experiment that is known to be there."""
        return self.metrics[name]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The available metrics by the id of their experiment."""
        return {one.id: one.metric for one in self.results if one.metric.available}

    def title(self, name: str) -> str:
        """Return the title of an experiment."""
        return next(one.title for one in self.results if one.id == name)


@dataclass(frozen=True)
class Conclusion:
    """What the model has learned, in one sentence, and the findings that show it.

    Attributes
    ----------
    code : {"no_signal", "shortcut", "mixed", "lungs", "inconclusive"}
    message : str
    reasons : list of str
        Each with its metrics.
    carried_by : list of str
        Ids of the experiments that the reasons rest on.
    recommendation : str
        What to do next.
    """

    code: str
    message: str
    reasons: list[str]
    carried_by: list[str]
    recommendation: str = ""

    def __str__(self) -> str:
        """Return message and reasons in one paragraph."""
        reasons = "; ".join(self.reasons)
        return f"{self.message} {reasons[:1].upper()}{reasons[1:]}." if reasons else self.message

    def as_json(self) -> dict[str, object]:
        """Return the conclusion as it stands in a JSON file."""
        return {name: getattr(self, name) for name in ("code", "message", "reasons", "carried_by", "recommendation")}


@dataclass(frozen=True)
class Reason:
    """A finding, and the experiments that it rests on."""

    text: str
    ids: tuple[str, ...]


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
WITHOUT_SITE = (SAME_SITE, SAME_SITE_LUNGS, STRATIFIED)
CONTROLS_POSITIVE = "controls_predicted_positive"  # as in audit.json; no experiment of its own


def kept(part: Metric, whole: Metric) -> float:
    """Return the share of what lies above chance that is left."""
    return (part.point - CHANCE) / (whole.point - CHANCE)


def predicts_around_the_lungs(evidence: Evidence) -> bool:
    """Say whether what is left without the lungs predicts the class, and is shown to do so better than shapes do.

    Opacities at a lung's border move the border that is found, and with it the masked region: what its shape predicts,
    and what a network reads from the lung mask, may be the disease.
    """
    without = evidence[MASKED_OUT]
    beyond = [evidence.differences.get(name) for name in (OUTSIDE_V_SHAPE, OUTSIDE_V_MASK)]
    by_more = all(one.low > 0 for one in beyond if one and one.available)
    return without is not None and without.low > PREDICTS and by_more


def little_left_without_lungs(evidence: Evidence, whole: Metric) -> bool:
    """Say whether the masked-out image keeps less than half of the signal, or no more than its masked region's shape.

    The shape of the masked region, without a pixel of the image, is that of the lungs.
    """
    without, by_more = evidence[MASKED_OUT], evidence.differences.get(OUTSIDE_V_SHAPE)
    if without is None:
        return False
    by_shape = by_more is not None and by_more.available and by_more.point <= 0 and by_more.high < MARGIN
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


# By so much, at most, may the lungs masked out exceed the shape of the masked region to be explained by it.
MARGIN = 0.1
# An interval wider than this settles nothing that half of what lies above chance could.
WIDE = 0.2


def _next_step(conclusion: Conclusion, evidence: Evidence) -> str:
    """Return what to do after a conclusion, in one or two sentences."""
    if conclusion.code == LUNGS:
        another = "another hospital than the external ones here" if _tested_elsewhere(evidence) else "another hospital"
        return f"Test the saved model on images of {another}: add --external DIR -m MODEL."
    if conclusion.code == INCONCLUSIVE:
        return _missing(evidence)
    if (whole := evidence[FULL]) and conclusion.code == NO_SIGNAL and whole.high < CHANCE:
        return "Compare the folders of both classes with their source: the labels may be swapped."
    if conclusion.code == NO_SIGNAL:
        return "Add images of other patients: more folds add no information."
    return _against_a_shortcut(conclusion, evidence)


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


def conclude(evidence: Evidence) -> Conclusion:
    """Return what the metrics of an audit say, and what to do next.

    The order of the rules: is there a signal at all, is there a shortcut without the lungs, do the lungs carry it, do
    the files predict the class, and is it known?
    """
    found = _judge(evidence)
    return replace(found, recommendation=_next_step(found, evidence))


def _judge(evidence: Evidence) -> Conclusion:
    """Return the conclusion of the first rule that fits."""
    whole = evidence[FULL]
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
