"""What an audit's metrics show: a table of the sources of a shortcut, the conclusion of its worst row, the next step.

A source is something other than the lungs that may predict the class. By its confidence interval it is

- present: the interval lies above 0.52 (for what can follow the disease or be matched for, above 0.65) and not below
  a limit, which is 0.75, or 0.70 from 100 images of each class on. The shape of the lungs is never: opacities change
  the lungs that are found, so that it predicts the disease of phantoms without a shortcut, too (0.54 to 0.87),
- excluded: the interval lies below the limit and does not lie above 0.5 (there, 0.52),
- undetermined: all else, or it could not be computed.

0.52, not 0.5: several intervals are looked at, and of as many one misses 0.5 by luck.

"Not shown to predict" is not "shown not to predict": the signal is said to be in the lungs only if every source is
excluded. Reference: D. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for
assessing the equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).
`make bench-rules` simulates how often each conclusion is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from detector import first_names
from detector.statistics.auc import Scores
from detector.statistics.metric import Metric

# Ids of experiments. A quantity that a training run has, too, has the same id there.
FULL, MASKED_OUT, MASKED_REGION = "full_image", "lungs_masked_out", "masked_region"
LUNGS_ALONE, LUNG_MASK = "lungs_only", "lung_mask"
STRATIFIED, BORDER_ADJUSTED, BEYOND_BORDER = "roc_auc_stratified", "roc_auc_border_adjusted", "roc_auc_beyond_border"
BORDER, FILES, METADATA = "border_baseline", "file_baseline", "metadata_baseline"
VIEW, SEX, AGE, CLINICAL = "view", "sex", "age", "clinical_columns"
CONTROLS_V_OTHERS, SAME_SITE, SAME_SITE_LUNGS = "controls_v_others", "same_site", "same_site_lungs_only"
PERMUTED, CONTROLS_POSITIVE = "permuted_labels", "controls_predicted_positive"
# Of the same images and folds: by how much the ROC AUC of the first exceeds that of the second.
DIFFERENCES = ((MASKED_OUT, MASKED_REGION), (MASKED_OUT, LUNG_MASK), (LUNGS_ALONE, FULL))
Differences = Mapping[tuple[str, str], Metric]

SIGNAL, BASELINES, SAME_SITES = "Where is the signal?", "Baselines without the chest", "Same-site controls"
EXTERNAL, NEGATIVE = "External test sets", "Negative control"
GROUPS = (SIGNAL, BASELINES, SAME_SITES, EXTERNAL, NEGATIVE)

NO_SIGNAL, SHORTCUT, MIXED, LUNGS, INCONCLUSIVE = "no_signal", "shortcut", "mixed", "lungs", "inconclusive"
PRESENT, EXCLUDED, UNDETERMINED, NOT_TESTED = "present", "excluded", "undetermined", "not tested"

CHANCE = 0.5
LIMIT, LIMIT_OF_MANY, MANY = 0.75, 0.70, 100  # of an excluded source; from so many images of each class on
NEVER, STRONG, WEAK = 1.0, 0.65, 0.52
# Half of what lies above chance: a classifier that keeps more of it than it loses did not need what was taken away.
# The experiment is Maguolo and Nanni's (Information Fusion 76, 2021); this line is drawn here.
KEPT = 0.5
# More than half of the controls predicted positive: a coin would predict fewer. DeGrave, Janizek and Lee (Nature
# Machine Intelligence 3, 2021) show the same failure on hospitals.
MOST = 0.5

LOOK = "look at the example images for what differs between the classes outside the lungs, and remove it"
MATCH = "choose images in which the classes do not differ in {}"
MASKS = "give lung masks (--masks): lungs were found in too few of the images"


@dataclass(frozen=True)
class Result:
    """A line of the audit: the ROC AUC of an experiment, its scores, and what has to be said of it.

    Of an external test set, `beside` has other metrics by name, and `warning` says which class is never predicted, and
    what else could explain the result.
    """

    id: str
    title: str
    group: str
    question: str
    metric: Metric
    notes: tuple[str, ...] = ()
    beside: Mapping[str, Metric] = field(default_factory=dict)
    warning: str = ""
    scored: Scores | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, object]:
        """Return the line as it stands in a JSON file, beside its metric alone."""
        names = ("id", "title", "group", "question", "notes")
        return {"roc_auc": self.metric} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Source:
    """What may predict the class besides the lungs, by an experiment's id; what to do where it is present or `missing`.

    It is present where its interval lies `above` this: 0.65 for what may follow the disease (brightness among the file
    properties) or can be matched for; from 0.52 on such a source predicts weakly. The lungs cannot be concluded without
    a `required` one. Age, sex and view often are not recorded: they are named then.
    """

    id: str
    advice: str
    above: float = WEAK
    required: bool = True
    missing: str = ""


SOURCES = (
    Source(
        METADATA,
        "take both classes from the same sites, or give controls of the same site (--controls)",
        missing="say where the images come from (column site of manifest.csv)",
    ),
    Source(BORDER, LOOK),
    Source(MASKED_OUT, LOOK, missing=MASKS),
    Source(FILES, "store the images of both classes alike", STRONG),
    Source(MASKED_REGION, MATCH.format("the position and size of the lungs"), NEVER, missing=MASKS),
    Source(VIEW, MATCH.format("view"), STRONG, required=False),
    Source(AGE, MATCH.format("age"), STRONG, required=False),
    Source(SEX, MATCH.format("sex"), STRONG, required=False),
)
# Experiments on images that the site does not separate: a signal in the lungs is there, too.
WITHOUT_SITE = (SAME_SITE, SAME_SITE_LUNGS, STRATIFIED)


@dataclass(frozen=True)
class Row:
    """A source, its state, what was found and what to do about it.

    `patients`: about how many of each class would settle an undetermined one, if one image is of each.
    """

    id: str
    title: str
    state: str
    text: str
    advice: str = ""
    patients: int | None = None


@dataclass(frozen=True)
class Conclusion:
    """What a model trained on the data learns, in one sentence, and the table that it rests on.

    The `code` is ``"no_signal"``, ``"shortcut"``, ``"mixed"``, ``"lungs"`` or ``"inconclusive"``; `carried_by` are ids
    of the experiments that the reasons rest on; `rows` are all sources; the recommendation is what to do next.
    """

    code: str
    message: str
    reasons: list[str]
    carried_by: list[str]
    rows: list[Row]
    recommendation: str


def limit(metric: Metric) -> float:
    """Return below which ROC AUC a source counts as excluded, by the images of the smaller class."""
    return LIMIT_OF_MANY if min(metric.n_positive, metric.n_negative) >= MANY else LIMIT


def reaches_half(metric: Metric, whole: Metric) -> bool:
    """Say whether a ROC AUC is shown to have half of what lies above chance in another one."""
    return metric.low > CHANCE + KEPT * (whole.point - CHANCE)


def patients_needed(metric: Metric, bound: float, above: float) -> int | None:
    """Return about how many patients of each class would settle an undetermined source, two digits.

    The interval narrows with the square root of their number; the nearer question is asked: is the ROC AUC below the
    bound, or is it above what makes the source present? None where it lies on the line between.
    """
    half, fewest = (metric.high - metric.low) / 2, min(metric.n_positive, metric.n_negative)
    room = max(bound - metric.point, metric.point - above)
    if room <= 0.01:
        return None
    needed = fewest * (half / room) ** 2
    digits = 10 ** max(len(str(int(needed))) - 2, 0)
    return int(-(-needed // digits) * digits)


def _row(source: Source, found: Result, differences: Differences) -> Row:
    """Return the state of a source.

    Opacities at a lung's border move the border that is found, and with it the masked region. What is left without the
    lungs therefore counts only as far as it exceeds what the shape of that region predicts: by their paired difference.
    """
    metric, title = found.metric, found.title.removesuffix(" alone")

    def row(state: str, text: str, advice: str = "", patients: int | None = None) -> Row:
        return Row(source.id, title, state, f"{title}: {text}", advice, patients)

    if not metric.available:
        return row(UNDETERMINED if source.required else NOT_TESTED, metric.short, source.missing)
    bound, text = limit(metric), f"ROC AUC {metric.short}"
    over = [one for (name, _), one in differences.items() if name == source.id]
    exceeds = all(one.low > 0 for one in over)
    below = metric.high < bound
    excluded = below or any(one.high < bound - CHANCE for one in over)
    if metric.low > source.above and exceeds and not excluded:
        return row(PRESENT, text, source.advice)
    if metric.low > (WEAK if source.above > WEAK else CHANCE) and exceeds:
        how = "predicts weakly"
        if not below and source.above == NEVER:
            how = "which opacities at the edge of a lung can cause, too"
        elif over and not below:
            how = "little more than the shape of the lungs predicts"
        return row(UNDETERMINED, f"{text}, {how}", source.advice)
    if excluded:
        how = f"below {bound:.2f}" if below else "hardly more than the shape of the lungs predicts"
        return row(EXCLUDED, f"{text}, {how}")
    needed = patients_needed(metric, bound, source.above)
    settle = f"; about {needed} patients of each class would settle it" if needed else ""
    return row(UNDETERMINED, f"{text}, not shown to be below {bound:.2f}{settle}", patients=needed)


def _other_rows(results: Sequence[Result], whole: Metric) -> list[Row]:
    """Return what is undetermined of other images: controls, those of one site and view, and external test sets."""
    rows = []
    for one in results:
        text = f"{one.title}: ROC AUC {one.metric.short}"
        if one.metric.available and one.id in WITHOUT_SITE and one.metric.low <= CHANCE:
            rows.append(Row(one.id, one.title, UNDETERMINED, f"{text}, not shown to be above chance"))
        if one.metric.available and one.group == EXTERNAL and not reaches_half(one.metric, whole):
            falls = f"{text}, not shown to keep half of what lies above chance here ({whole.value_text})"
            rows.append(Row(one.id, one.title, UNDETERMINED, falls, "train on images of several hospitals"))
    return rows


def conclude(
    results: Sequence[Result],
    controls_positive: Metric | None,
    positive: str,
    shared_sites: bool = False,
    differences: Differences = MappingProxyType({}),
) -> Conclusion:
    """Return what the metrics of an audit show, and what to do next.

    It is the first that fits: no signal; a source is present and the lungs are not shown to predict the class
    (shortcut), or are (mixed); all sources are excluded, the lungs keep half of the signal and so do external test sets
    (lungs); else inconclusive.

    `controls_positive` is the share of same-site controls that are predicted `positive`; `shared_sites` says whether
    both classes come from the same sites; `differences` are those of `DIFFERENCES` that are known.
    """
    known = {one.id: one for one in results}
    for name in (FULL, LUNGS_ALONE, *(source.id for source in SOURCES)):
        known.setdefault(name, Result(name, name, "", "", Metric.unavailable("not computed")))
    whole, lungs = known[FULL].metric, known[LUNGS_ALONE].metric
    rows = _other_rows(results, whole) if whole.available else []
    if whole.available and controls_positive and controls_positive.low > MOST:
        hits = f"{round(controls_positive.point * controls_positive.n_negative)} of {controls_positive.n_negative}"
        what = "other findings" if shared_sites else "the site or other findings"
        text = f"{hits} radiographs of other findings from the same site are predicted {positive}"
        rows.insert(
            0, Row(CONTROLS_POSITIVE, what, PRESENT, text, "train with the controls as a class of the data set")
        )
    rows += [_row(source, known[source.id], differences) for source in SOURCES]
    by_state = {state: [row for row in rows if row.state == state] for state in (PRESENT, UNDETERMINED, EXCLUDED)}
    present = by_state[PRESENT]
    # Controls of the same site have no such disease: if they are predicted positive, the lungs do not show it either.
    shown = lungs.low > CHANCE and CONTROLS_POSITIVE not in {row.id for row in present}
    named = first_names(list(dict.fromkeys(row.title for row in present)))
    code, why = INCONCLUSIVE, by_state[UNDETERMINED]
    message = "These data do not show what a model trained on them learns."
    if present and whole.low <= CHANCE:
        code, why = SHORTCUT, present
        message = f"{_capitalised(named)} alone predicts the class; more images of this kind would not help."
    elif not whole.available:
        message = "Too few images to conclude anything."
    elif whole.low <= CHANCE:
        code, why = NO_SIGNAL, []
        chance = "below chance: the labels may be swapped" if whole.high < CHANCE else "compatible with guessing"
        message = f"ROC AUC {whole.short} is {chance}."
    elif present and shown:
        code, why = MIXED, present
        message = f"Both the lungs and {named} predict the class, and these data cannot separate the two."
    elif present:
        code, why = SHORTCUT, present
        message = (
            f"A model trained on these data separates the classes by {named}; nothing shows that it sees the disease."
        )
    elif shown and keeps_half(differences, whole) and not why:
        code, why = LUNGS, by_state[EXCLUDED]
        excluded = max(limit(known[row.id].metric) for row in why)
        missing = [row.title for row in rows if row.state == NOT_TESTED]
        also = f" Not tested, since it is not recorded: {', '.join(missing)}." if missing else ""
        message = (
            "The signal is in the lungs: every shortcut tested is shown to predict the class with a ROC AUC below "
            f"{excluded:.2f}. Another disease of the lungs is not excluded.{also}"
        )
    carrying = [known[name] for name in ((FULL, LUNGS_ALONE) if code in (MIXED, LUNGS) else (FULL,))]
    reasons = {one.id: f"{one.title}: ROC AUC {one.metric.short}" for one in carrying if one.metric.available}
    reasons |= {row.id: row.text for row in why}
    return Conclusion(code, message, [*reasons.values()], [*reasons], rows, _next_step(code, whole, why))


def keeps_half(differences: Differences, whole: Metric) -> bool:
    """Say whether the lungs alone are shown to keep half of what lies above chance, by the paired difference."""
    lost = differences.get((LUNGS_ALONE, FULL))
    if lost is None:
        return False
    return (lost.point if lost.ci_low is None else lost.low) >= -KEPT * (whole.point - CHANCE)


def _next_step(code: str, whole: Metric, why: Sequence[Row]) -> str:
    """Return one recommendation for a conclusion."""
    if code == LUNGS:
        return "Test the saved model on images of another hospital (--external DIR -m MODEL)."
    if code == NO_SIGNAL and whole.high < CHANCE:
        return "Compare the folders of both classes with their source."
    steps = list(dict.fromkeys(row.advice for row in why if row.advice))
    if code in (SHORTCUT, MIXED):
        return f"{_capitalised(steps[0])}. Then audit again."
    most = max((row.patients for row in why if row.patients), default=None)
    steps.append(f"add images, to about {most} patients of each class" if most else "add images of other patients")
    return f"{_capitalised('; '.join(steps))}."


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
