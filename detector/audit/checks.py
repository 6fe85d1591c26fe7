"""What predictions are worth: metrics, validity checks, subgroups, and all of it in one sentence.

`judge` is the one way there, for a training run, for a model or a table of predictions on a labelled folder, and for
each external test set of an audit.

A check is an entry of `CHECKS`: its id, the condition under which it warns, and a function of a `Run` that returns what
it found. What is no problem of the data or the result is no check: see `precision` and `pooling_note`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from detector import counted, first_names
from detector.audit.evidence import (
    BEYOND_BORDER,
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
from detector.audit.metrics import Subgroup, compute_metrics, subgroups
from detector.collections import kermany
from detector.datasets.dataset import Image
from detector.files.values import ADULT, years
from detector.images.duplicates import NOT_SEARCHED, Copy, with_change
from detector.images.lungs import SEEMINGLY_UPSIDE_DOWN
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor, ImplausibleImage, implausible_line
from detector.training.recipes import Recipe

PASS, WARN, NOT_ASSESSED = "pass", "warn", "not_assessed"
Found = tuple[str, str, str]  # what a check finds, and what to do where it does not pass

SUSPICIOUS = 0.75  # ROC AUC of a baseline from which it is taken for a shortcut, if it is shown to be above chance
KNOWN = 0.5  # share of a class's images whose view or age has to be known: few images do not represent the rest
FEW_UPSIDE_DOWN = 0.05  # of the images
CHILDREN_APART = 0.5  # difference between the classes' shares of children
RARE = 0.01  # p-value of Fisher's test from which views are not taken to differ by luck
IMBALANCED = 3.0  # from here on, predicting the larger class always is right three times in four
SLOPE_OFF = 1.25  # from this slope on, or from its inverse down, probabilities are wrong
LEAST_OFF = 0.15  # log odds by which probabilities are shown to be wrong on average: 4 percentage points at 50 %
PRECISE = 0.1  # half of the interval of an accuracy that a difference of a tenth can be seen with
APART = "no site has images of two classes: the site predicts the class"
WITH_CONTROLS = "Run audit_covid19.py with --controls DIR: images of the same site without the disease."


@dataclass(frozen=True)
class Check:
    """One line of "Validity checks": what was found, what to do about it, and when it warns.

    It is not assessed where the data that it needs is not there.
    """

    id: str
    status: str
    message: str
    recommendation: str = ""
    condition: str = ""

    @property
    def title(self) -> str:
        """The id in words."""
        return self.id.replace("_", " ")

    @property
    def warns(self) -> bool:
        """Whether the check found a problem."""
        return self.status == WARN


@dataclass(frozen=True)
class Run:
    """What the checks look at; `metrics` are those of `compute_metrics`, `groups` (n,) what the split kept whole."""

    extractor: FeatureExtractor
    evaluated: EvaluatedHead
    metrics: dict[str, Metric]
    groups: np.ndarray
    implausible: Sequence[ImplausibleImage]

    def by_class(self) -> dict[str, list[Image]]:
        """Return the images of each class."""
        dataset = self.extractor.dataset
        return {name: [one for one in dataset.images if one.label == name] for name in dataset.classes}

    def audit(self) -> str:
        """Return how an audit is run: with controls of the same site, unless all classes come from the same sites."""
        sites = [{image.site for image in images} for images in self.by_class().values()]
        return "Run audit_covid19.py." if all(one == sites[0] != {""} for one in sites) else WITH_CONTROLS


def _warns_if(problem: bool) -> str:
    return WARN if problem else PASS


def chance(run: Run) -> Found:
    """Check whether the model separates the classes at all, and in the right direction."""
    area = run.evaluated.evaluation.roc_auc
    every = len(run.evaluated.held_out) == len(run.groups)
    advice = "Add images of other patients" + ("." if every else ", or --folds 5, which evaluates every image.")
    if not area.available:
        return NOT_ASSESSED, area.reason, advice
    if area.high < CHANCE:
        return WARN, f"ROC AUC {area.short}: worse than chance", "Check whether the classes' labels are swapped."
    guessing = area.low <= CHANCE
    return _warns_if(guessing), f"ROC AUC {area.short}{' is compatible with guessing' if guessing else ''}", advice


def predicted_classes(run: Run) -> Found:
    """Check whether every class of the test images is predicted for some of them."""
    evaluation = run.evaluated.evaluation
    predicted, present = evaluation.confusion.sum(axis=0), evaluation.confusion.sum(axis=1)
    counts = ", ".join(f"{n} {name}" for name, n in zip(evaluation.classes, predicted, strict=True))
    never = [name for name, n, of in zip(evaluation.classes, predicted, present, strict=True) if of and not n]
    if not never:
        return PASS, f"predicted: {counts}", ""
    remedy = (
        "The model may rest on a shortcut of its training data that these images lack: run audit_covid19.py on those. "
        "Another --threshold does not mend that."
    )
    if len(run.evaluated.train):
        remedy = (
            "Train longer (--epochs), or with another --learning-rate, until the loss falls; or use --recipe probe."
        )
        if evaluation.roc_auc.low > CHANCE:
            remedy += " The scores separate the classes: --target-sensitivity chooses a threshold that uses them."
    return WARN, f"{' and '.join(never)} is never predicted ({counts})", remedy


def image_content(run: Run) -> Found:
    """Check whether the images can be frontal chest radiographs, by their lungs, colour and view."""
    found = run.implausible
    total = len(run.extractor.properties) + sum(one.left_out for one in found)
    if not found:
        looked = "with two lungs" if run.extractor.backbone.weights else "(lungs were not looked for)"
        return PASS, f"{total} images {looked}, none in colour", ""
    # One in a hundred upright images seems to be upside down.
    few = all(one.reason == SEEMINGLY_UPSIDE_DOWN for one in found) and len(found) <= FEW_UPSIDE_DOWN * total
    gone = all(one.left_out for one in found)
    advice = "" if gone else "Look at them; remove those that are not frontal chest radiographs."
    return _warns_if(not few), implausible_line(found, total), advice


def site_and_view(run: Run) -> Found:
    """Check whether the site and view of an image predict its class."""
    images, area = run.extractor.dataset.images, run.metrics[METADATA]
    missing = {"sites": sum(not image.site for image in images), "views": sum(not image.view for image in images)}
    if missing["sites"] and not area.available:
        advice = "Build the data set with build_covid_dataset.py, or add the column site to manifest.csv."
        return NOT_ASSESSED, f"the site of {missing['sites']} of {len(images)} images is not known", advice
    sites = [{image.site for image in one} - {""} for one in run.by_class().values()]
    if not any(one & other for one, other in combinations(sites, 2)):
        return WARN, APART, WITH_CONTROLS
    known = [f"{len(images) - count} of {len(images)} {what} known" for what, count in missing.items() if count]
    return baseline_check(area, ", ".join(["without the image", *known]), WITH_CONTROLS)


def views(run: Run) -> Found:
    """Check whether one class was examined lying in bed (AP) and the other standing (PA)."""
    from scipy.stats import fisher_exact

    counts = {name: Counter(one.view for one in images) for name, images in run.by_class().items()}
    listing = "; ".join(
        f"{name} " + ", ".join(f"{n} {view or 'unknown'}" for view, n in sorted(found.items()))
        for name, found in counts.items()
    )
    known = {name: (one["AP"], one["PA"]) for name, one in counts.items()}
    if missing := [name for name, one in known.items() if sum(one) < max(KNOWN * counts[name].total(), 1)]:
        return NOT_ASSESSED, f"the view (AP, PA) of most images of {' and '.join(missing)} is not known", ""
    ordered = sorted(known.values(), key=lambda one: one[0] / sum(one))
    apart = fisher_exact([ordered[0], ordered[-1]]).pvalue < RARE
    return _warns_if(apart), listing, "Build with --view PA, or fit within views: --recipe probe --adjust strata."


def image_border(run: Run) -> Found:
    """Check whether the outer 10 % of the images separate the classes, where no lung is."""
    adjusted = "Read the border-adjusted ROC AUC instead of the ROC AUC."
    advice = adjusted if run.metrics[BORDER_ADJUSTED].available else run.audit()
    return baseline_check(run.metrics[BORDER], "from the outer 10 %", advice)


def baseline_check(area: Metric, without: str, advice: str) -> Found:
    """Return the check of a baseline.

    It warns where the baseline predicts the class and that is no chance, and passes where its interval lies below the
    level at which it would warn. An interval that reaches that level shows neither.
    """
    if not area.available:
        return NOT_ASSESSED, area.reason, ""
    found = f"ROC AUC {area.short} {without}"
    warns = area.point >= SUSPICIOUS and area.low > CHANCE
    if area.high >= SUSPICIOUS and not warns:
        return NOT_ASSESSED, f"{found}: the interval reaches {SUSPICIOUS}", "Add images of other patients."
    return _warns_if(warns), found, advice


def border_adjusted(run: Run) -> Found:
    """Check whether the classes are still separated among images whose borders are similar.

    It passes where that ROC AUC is above chance and above that of the border's own score among the same images, which a
    model that reads nothing but the border has, too. It warns where it is not, though it is shown to be lower than that
    of all images; so few images that its interval holds both show neither.
    """
    adjusted, beyond, whole = run.metrics[BORDER_ADJUSTED], run.metrics[BEYOND_BORDER], run.evaluated.evaluation.roc_auc
    if not (adjusted.available and beyond.available):
        return NOT_ASSESSED, adjusted.reason or beyond.reason, ""
    found = f"ROC AUC {adjusted.short} among images with similar borders, {beyond.short} above the border's own"
    if adjusted.low > CHANCE and beyond.low > 0:
        return PASS, found, ""
    if whole.available and adjusted.high < max(whole.point, CHANCE):
        return WARN, f"{found}; {whole.value_text} among all", run.audit()
    return NOT_ASSESSED, f"{found}: too few images to tell", ""


def duplicates(run: Run) -> Found:
    """Check whether test images are, exactly or nearly, among the training images.

    Images of one group are always on one side; in a cross-validation, where each image is on both in turn, any pair of
    different groups is across some split.
    """
    images, groups, digests = run.extractor.dataset.images, run.groups, [one.digest for one in run.extractor.properties]
    first = {digest: row for row, digest in reversed([*enumerate(digests)])}
    exact = {(first[digest], row): Copy() for row, digest in enumerate(digests) if first[digest] != row}
    pairs = {
        (i, j): with_change(f"{images[i].file} = {images[j].file}", copy)
        for (i, j), copy in sorted({**run.extractor.near_duplicates, **exact}.items())
    }
    if contrary := [text for (i, j), text in pairs.items() if images[i].label != images[j].label]:
        what = f"{counted(len(contrary), 'radiograph')} in two classes: {first_names(contrary)}"
        return WARN, what, "One of the two labels is wrong: remove that copy."
    trains, tests = (np.isin(np.arange(len(groups)), side) for side in (run.evaluated.train, run.evaluated.held_out))
    where, advice = "across the split", ", or use --split patient, which keeps most near duplicates on one side"
    if not trains.any():  # a folder that is tested as a whole: a copy counts twice
        where, advice, trains, groups = "within the folder", "", tests, np.arange(len(groups))
    across = {
        (i, j): text
        for (i, j), text in pairs.items()
        if groups[i] != groups[j] and ((tests[i] and trains[j]) or (tests[j] and trains[i]))
    }
    if not across:
        return PASS, f"none {where}; {NOT_SEARCHED}", ""
    same = sum(digests[i] == digests[j] for i, j in across)
    found = f"{same} exact and {len(across) - same} near duplicates {where}: {first_names([*across.values()])}"
    return WARN, found, f"Remove one of each pair{advice}."


def age_groups(run: Run) -> Found:
    """Check whether children are compared with adults."""
    shares: dict[str, float] = {}
    for name, images in run.by_class().items():
        # Kermany's patients are one to five, of Guangzhou Women and Children's Medical Center.
        ages = [1.0 if image.source == kermany.Kermany.source else years(image.row.get("age", "")) for image in images]
        known = [age < ADULT for age in ages if age is not None]
        if len(known) < max(KNOWN * len(images), 1):
            return NOT_ASSESSED, f"the age of most images of {name} is not known", ""
        shares[name] = sum(known) / len(known)
    listing = ", ".join(f"children are {share:.0%} of {name}" for name, share in shares.items())
    apart = max(shares.values()) - min(shares.values()) > CHILDREN_APART
    return _warns_if(apart), listing, "Use adults of the positives' site as the other class."


def class_balance(run: Run) -> Found:
    """Check whether the accuracy exceeds that of predicting the largest class always."""
    evaluation, counts = run.evaluated.evaluation, run.evaluated.evaluation.confusion.sum(axis=1)
    largest, share = evaluation.classes[int(counts.argmax())], counts.max() / counts.sum()
    listing = ", ".join(f"{n} {name}" for name, n in zip(evaluation.classes, counts, strict=True))
    if counts.max() < IMBALANCED * max(counts.min(), 1):
        return PASS, listing, ""
    message = f"{listing}: predicting {largest} always is right in {share:.2f}"
    advice = "Read sensitivity and specificity instead of the accuracy."
    return _warns_if(evaluation.accuracy.low <= share), message, advice


def calibration(run: Run) -> Found:
    """Check whether predicted probabilities are calibrated."""
    mean, slope = run.metrics[IN_THE_LARGE], run.metrics[SLOPE]
    if not mean.available:
        return NOT_ASSESSED, mean.reason, ""
    found = f"slope {slope.short}, in the large {mean.short}"
    conditions = {
        "reversed": slope.available and slope.high < 0,
        "overconfident": slope.available and 0 <= slope.high < 1 / SLOPE_OFF,
        "underconfident": slope.available and slope.low > SLOPE_OFF,
        "too low on average": mean.low >= LEAST_OFF,
        "too high on average": mean.high <= -LEAST_OFF,
    }
    if off := [words for words, wrong in conditions.items() if wrong]:
        return WARN, f"{found}: probabilities are {' and '.join(off)}", "Do not interpret probabilities as risks."
    # A slope without a bound says nothing of overconfidence, nor does an interval that holds both no relation (0) and
    # the ideal (1).
    return (PASS if slope.available and slope.low > 0 else NOT_ASSESSED), found, ""


AT_SUSPICIOUS = f"warns from a ROC AUC of {SUSPICIOUS}, shown to be above {CHANCE}"
# In the order in which they are printed.
CHECKS: Mapping[str, tuple[str, Callable[[Run], Found]]] = {
    "chance": (f"warns where the interval reaches {CHANCE}", chance),
    "predicted_classes": ("warns where a class is never predicted", predicted_classes),
    "image_content": (f"warns from one image on; upside down, above {FEW_UPSIDE_DOWN:.0%}", image_content),
    "site_and_view": (AT_SUSPICIOUS, site_and_view),
    "views": (f"warns where shares of AP differ, Fisher's test p < {RARE}", views),
    "file_properties": (
        AT_SUSPICIOUS,
        lambda run: baseline_check(run.metrics[FILES], "from size, shape, format, colour and brightness", run.audit()),
    ),
    "image_border": (AT_SUSPICIOUS, image_border),
    "border_adjusted": (
        f"warns where it is below that of all images, and not above {CHANCE} or the border's own",
        border_adjusted,
    ),
    "duplicates": ("warns from one pair on", duplicates),
    "age_groups": (f"warns where shares of children differ by more than {CHILDREN_APART:.0%}", age_groups),
    "class_balance": (f"warns from {IMBALANCED:g} to 1, if the accuracy is no higher", class_balance),
    "calibration": (
        f"warns where the slope is shown to be off by a factor of {SLOPE_OFF}, or the mean by {LEAST_OFF}",
        calibration,
    ),
}


def run_checks(run: Run) -> list[Check]:
    """Return what every check finds in a run, in the order of `CHECKS`."""
    found = []
    for name, (condition, check) in CHECKS.items():
        status, message, advice = check(run)
        found.append(Check(name, status, message, "" if status == PASS else advice, condition))
    return found


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Return checks that warn before those that were not assessed before those that pass."""
    return sorted(checks, key=lambda check: (WARN, NOT_ASSESSED, PASS).index(check.status))


def precision(evaluation: Evaluation) -> str:
    """Return how precise a result of so many patients is, and how many an interval of ± 0.1 would need."""
    accuracy = evaluation.accuracy
    if not accuracy.available:
        return ""
    found = f"Accuracy {accuracy.short} from {counted(accuracy.n_patients, 'test patient')}"
    needed = math.ceil(accuracy.n_patients * ((accuracy.high - accuracy.low) / (2 * PRECISE)) ** 2)
    return f"{found}; ± {PRECISE} would need about {needed}." if needed > accuracy.n_patients else f"{found}."


def pooling_note(recipe: Recipe) -> str:
    """Return what a recipe does not read of an image; mostly nothing."""
    if recipe.pooling != "tutorial":
        return ""
    return "the tutorial's pooling reads the upper left third of the image; --pooling global reads all of it"


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
    conclusion = verdict(evaluated.evaluation, metrics, checks)
    return Judgement(metrics, checks, subgroups(extractor, evaluated), conclusion)
