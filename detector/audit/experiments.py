"""The experiments of an audit: training's own recipe and folds, on other images or other labels.

An experiment is an entry of `EXPERIMENTS`: its id, title and group, the question that it answers, and a function that
returns what it found, or None where the folders given do not ask it. It can be run alone and in any order. What its
metric means is a rule in `conclusion`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.audit import baselines
from detector.audit.comparison import Audit, Finding, compare, cross_validated, feature_set
from detector.audit.image_sets import CONTROLS
from detector.audit.linear_baseline import linear_auc
from detector.audit.metrics import border_adjusted, stratified
from detector.audit.occluded import occlusion, too_few_lungs
from detector.command_line.printing import progress
from detector.images.lungs import coarse, surroundings
from detector.images.occlusion import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS
from detector.statistics.evaluation import predict
from detector.statistics.intervals import proportion
from detector.statistics.metric import Metric
from detector.statistics.split import TooFewPatientsError

FULL, MASKED_OUT, MASKED_REGION = "full_image", "lungs_masked_out", "masked_region"
LUNGS_ALONE, LUNG_MASK = "lungs_only", "lung_mask"
WITHIN, ALIKE = "within_site_and_view", "border_adjusted"
BORDER, FILES, METADATA = "border", "file_properties", "site_and_view"
VIEW, SEX, AGE, CLINICAL = "view", "sex", "age", "clinical_columns"
CONTROLS_V_OTHERS, SAME_SITE, SAME_SITE_LUNGS = "controls_v_others", "same_site", "same_site_lungs_only"
PERMUTED = "permuted_labels"

SIGNAL, BASELINES = "Where is the signal?", "Baselines without the chest"
SAME_SITES, NEGATIVE = "Same-site controls", "Negative control"
EXTERNAL = "External test sets"
GROUPS = (SIGNAL, BASELINES, SAME_SITES, EXTERNAL, NEGATIVE)

DEALS = 5  # of permuted labels, at least


@dataclass(frozen=True)
class Experiment:
    """A line of the audit, before it is run."""

    id: str
    title: str
    group: str
    question: str
    run: Callable[[Audit], Finding | None]


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


def full_image(audit: Audit) -> Finding:
    """Cross-validate the data set as training does."""
    return Finding(audit.scored.auc())


def within_site_and_view(audit: Audit) -> Finding:
    """Compare the same predictions within one site and view only."""
    return Finding(stratified(audit.scored))


def alike_borders(audit: Audit) -> Finding:
    """Compare the same predictions among images of one site and view whose borders are alike."""
    return Finding(border_adjusted(audit.scored, audit.border.deciles() if audit.border.possible else None))


def lungs_masked_out(audit: Audit) -> Finding:
    """Repeat it with the lungs black."""
    return compare(audit, audit.sets.own, part=WITHOUT_LUNGS)


def masked_region(audit: Audit) -> Finding:
    """Predict the class from the shape of what is masked out: it follows the disease, too."""
    rows, hide, _ = occlusion(audit, audit.sets.own, WITHOUT_LUNGS)
    if not audit.can_be_validated(rows):
        return Finding(too_few_lungs(rows))
    columns = np.array([coarse(surroundings(mask)) for mask in audit.extractor.masks(rows, hide)])
    return Finding(linear_auc(columns, audit.is_positive(rows), audit.extractor.patients[rows], audit.settings.seed))


def lungs_only(audit: Audit) -> Finding:
    """Repeat it with everything but the lungs black."""
    return compare(audit, audit.sets.own, part=LUNGS_ONLY)


def lung_mask(audit: Audit) -> Finding:
    """Repeat it with the lung mask as the image: the shape of what is masked out may predict by itself."""
    return compare(audit, audit.sets.own, part=OUTLINE)


def _without_controls(audit: Audit) -> Finding | None:
    """Return nothing where no controls were given, and why nothing can be found where all of them were left out."""
    if not audit.sets.controls_note:
        return None
    return Finding(Metric.unavailable("every control was left out"))


def controls_v_others(audit: Audit) -> Finding | None:
    """Separate the positives' site from the others', without an image of the disease."""
    if not len(audit.sets.controls):
        return _without_controls(audit)
    return compare(audit, np.concatenate([audit.sets.controls, audit.own_others()]), CONTROLS)


def same_site(audit: Audit) -> Finding | None:
    """Separate patients with and without the disease within its site."""
    if not len(audit.sets.controls):
        return _without_controls(audit)
    return compare(audit, np.concatenate([audit.own_positives(), audit.sets.controls]))


def same_site_lungs_only(audit: Audit) -> Finding | None:
    """Separate patients with and without the disease within its site by the lungs alone."""
    if not len(audit.sets.controls):
        return _without_controls(audit)
    return compare(audit, np.concatenate([audit.own_positives(), audit.sets.controls]), part=LUNGS_ONLY)


def permuted_labels(audit: Audit) -> Finding:
    """Permute the labels among patients, in every repeat anew: nothing may be found.

    The interval is the mean of those of the single permutations, since the luck of one is what it stands for.
    """
    samples = audit.samples
    people, inverse = np.unique(samples.groups, return_inverse=True)
    shares = np.bincount(inverse, samples.labels) / np.bincount(inverse)
    found = []
    for repeat in range(max(audit.settings.repeats, DEALS)):
        # Of a patient with images of both classes either is taken, by its share.
        own = np.random.default_rng([audit.settings.seed, repeat, 1]).random(len(people)) < shares
        dealt = np.random.default_rng([audit.settings.seed, repeat]).permutation(own.astype(samples.labels.dtype))
        permuted = replace(samples, labels=dealt[inverse])
        one = cross_validated(audit, permuted, audit.plan(permuted, 1, repeat))
        if not one.available:
            return Finding(one)
        found.append(one)
    value, low, high = (float(np.mean([getattr(one, name) for one in found])) for name in ("value", "low", "high"))
    return Finding(Metric(value, low, high, found[0].n_positive, found[0].n_negative, n_patients=found[0].n_patients))


# In the order in which they are printed.
EXPERIMENTS: Sequence[Experiment] = (
    Experiment(FULL, "full image", SIGNAL, "Does the recipe separate the classes?", full_image),
    Experiment(MASKED_OUT, "lungs masked out", SIGNAL, "Does it without the lungs?", lungs_masked_out),
    Experiment(MASKED_REGION, "shape of the masked region", SIGNAL, "Does that shape predict?", masked_region),
    Experiment(LUNGS_ALONE, "lungs only", SIGNAL, "Does it from the lungs alone?", lungs_only),
    Experiment(LUNG_MASK, "shape of the lung mask", SIGNAL, "Does their shape predict?", lung_mask),
    Experiment(WITHIN, "within site and view", SIGNAL, "Does it within one site and view?", within_site_and_view),
    Experiment(ALIKE, "border-adjusted", SIGNAL, "And among images with similar borders?", alike_borders),
    Experiment(BORDER, "image border", BASELINES, "Does the outer 10 % predict the class?", baselines.border),
    Experiment(FILES, "file properties", BASELINES, "Do size, format, brightness?", baselines.file_properties),
    Experiment(METADATA, "site and view", BASELINES, "Do site and view, without the image?", baselines.metadata),
    Experiment(VIEW, "view", BASELINES, "Does the view?", baselines.view),
    Experiment(SEX, "sex", BASELINES, "Does the sex?", baselines.sex),
    Experiment(AGE, "age", BASELINES, "Does the age?", baselines.age),
    Experiment(CLINICAL, "clinical columns", BASELINES, "Do clinical values?", baselines.clinical_columns),
    Experiment(CONTROLS_V_OTHERS, "controls v other classes", SAME_SITES, "Does the site predict?", controls_v_others),
    Experiment(SAME_SITE, "positives v controls", SAME_SITES, "Does the disease, within its site?", same_site),
    Experiment(
        SAME_SITE_LUNGS, "positives v controls, lungs", SAME_SITES, "And in the lungs alone?", same_site_lungs_only
    ),
    Experiment(PERMUTED, "permuted labels", NEGATIVE, "Is the audit sound? 0.5 is expected.", permuted_labels),
)


def run_experiments(audit: Audit, experiments: Sequence[Experiment] = EXPERIMENTS, quiet: bool = True) -> list[Result]:
    """Run the experiments that the given folders allow, in the order given.

    Parameters
    ----------
    audit : Audit
    experiments : sequence of Experiment
    quiet : bool
        Show no progress.

    Returns
    -------
    list of Result
        With the reason in place of the metric, where it cannot be computed.
    """
    results: list[Result] = []
    for one in progress(experiments, len(experiments), "experiments", quiet, "experiment"):
        try:
            found = one.run(audit)
        except TooFewPatientsError as error:
            found = Finding(Metric.unavailable(str(error)))
        if found is not None:
            note = audit.sets.controls_note if one.group == SAME_SITES else ""
            if one.group in {result.group for result in results}:
                note = note.partition(": ")[2].partition(": ")[0]  # the names once are enough
            notes = (*found.notes, note) if note else found.notes
            results.append(Result(one.id, one.title, one.group, one.question, found.metric, notes))
    return results


def controls_predicted_positive(audit: Audit) -> Metric | None:
    """Return the share of controls that the model, trained on the whole data set, predicts positive."""
    controls = audit.sets.controls
    if not len(controls):
        return None
    classes = audit.extractor.dataset.classes
    positive = classes.index(audit.settings.positive)
    whole = feature_set(audit, audit.sets.own, audit.settings.positive, None, binary=False)
    fitted = whole.fit(np.arange(len(whole.labels)), audit.recipe_for(whole, []), audit.settings.seed)
    features = audit.extractor.features(controls)
    predicted = predict(fitted.predict_proba(features, [{}] * len(features)), positive)
    return proportion(predicted == positive, audit.extractor.patients[controls], np.zeros(len(controls), bool))
