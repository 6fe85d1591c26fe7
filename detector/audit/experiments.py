"""The experiments of an audit: which there are, in which order, and how they are run.

An experiment is an entry of `EXPERIMENTS`: its id, title and group, its question, and a function that
returns what it found, or None where the folders given do not ask it. It can be run alone and in any order. What its
metric means is a rule in `conclusion`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.audit import baselines
from detector.audit.context import Audit, Finding, compare, cross_validated, feature_set, occlusion, too_few_lungs
from detector.audit.image_sets import CONTROLS
from detector.audit.linear_baseline import linear_auc
from detector.audit.metrics import border_adjusted, stratified
from detector.cli.output import STEP, step
from detector.images.lungs import coarse, surroundings
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS
from detector.statistics.evaluation import predict
from detector.statistics.metric import Metric
from detector.statistics.proportions import proportion
from detector.statistics.split import TooFewPatientsError

FULL, MASKED_OUT, MASKED_REGION = "full_image", "lungs_masked_out", "masked_region"
LUNGS_ALONE, LUNG_MASK = "lungs_only", "lung_mask"
WITHIN, BORDER_ADJUSTED = "within_site_and_view", "border_adjusted"
BORDER, FILES, METADATA = "border", "file_properties", "site_and_view"
VIEW, SEX, AGE, CLINICAL = "view", "sex", "age", "clinical_columns"
CONTROLS_V_OTHERS, SAME_SITE, SAME_SITE_LUNGS = "controls_v_others", "same_site", "same_site_lungs_only"
PERMUTED = "permuted_labels"

SIGNAL, BASELINES = "Where is the signal?", "Baselines without the chest"
SAME_SITES, NEGATIVE = "Same-site controls", "Negative control"
EXTERNAL = "External test sets"
GROUPS = (SIGNAL, BASELINES, SAME_SITES, EXTERNAL, NEGATIVE)


@dataclass(frozen=True)
class Experiment:
    """A line of the audit, before it is run."""

    id: str
    title: str
    group: str
    question: str
    run: Callable[[Audit], Finding | None]

    @property
    def parts(self) -> int:
        """How much of the progress bar it is: a baseline needs no network and takes next to no time."""
        return 1 if self.group == BASELINES else STEP


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


def border_adjusted_predictions(audit: Audit) -> Finding:
    """Compare the same predictions among images of one site and view whose borders are similar."""
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


DEALS = 5  # of permuted labels, at least


def permuted_labels(audit: Audit) -> Finding:
    """Permute the labels among patients, in every repeat anew: nothing may be found.

    The interval is the mean of those of the single permutations, since the luck of one is what it stands for.
    """
    samples = audit.samples
    people, inverse = np.unique(samples.groups, return_inverse=True)
    images = np.bincount(inverse)
    shares = np.bincount(inverse, samples.labels) / images
    uneven = len(set(images)) > 1
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
    area = Metric(value, low, high, found[0].n_positive, found[0].n_negative, n_patients=found[0].n_patients)
    return Finding(area, ("labels were permuted among patients, whose numbers of images differ",) if uneven else ())


# In the order in which they are printed.
EXPERIMENTS: Sequence[Experiment] = (
    Experiment(FULL, "full image", SIGNAL, "Does the model separate the classes?", full_image),
    Experiment(
        MASKED_OUT, "lungs masked out", SIGNAL, "Are the classes separated without the lungs?", lungs_masked_out
    ),
    Experiment(
        MASKED_REGION,
        "shape of the masked region",
        SIGNAL,
        "Does the shape of the masked region predict the class?",
        masked_region,
    ),
    Experiment(LUNGS_ALONE, "lungs only", SIGNAL, "Are the classes separated by the lungs alone?", lungs_only),
    Experiment(
        LUNG_MASK, "shape of the lung mask", SIGNAL, "Does the shape of the lungs predict the class?", lung_mask
    ),
    Experiment(
        WITHIN,
        "within one site and view",
        SIGNAL,
        "Are the classes separated within one site and view?",
        within_site_and_view,
    ),
    Experiment(
        BORDER_ADJUSTED,
        "images with similar borders",
        SIGNAL,
        "Are the classes separated if image borders are similar?",
        border_adjusted_predictions,
    ),
    Experiment(
        BORDER, "image border alone", BASELINES, "Does the outer 10 % of the image predict the class?", baselines.border
    ),
    Experiment(
        FILES,
        "file properties alone",
        BASELINES,
        "Do size, format and brightness predict the class?",
        baselines.file_properties,
    ),
    Experiment(METADATA, "site and view alone", BASELINES, "Do site and view predict the class?", baselines.metadata),
    Experiment(VIEW, "view alone", BASELINES, "Does the view (AP, PA) predict the class?", baselines.view),
    Experiment(SEX, "sex alone", BASELINES, "Does the sex predict the class?", baselines.sex),
    Experiment(AGE, "age alone", BASELINES, "Does the age predict the class?", baselines.age),
    Experiment(
        CLINICAL,
        "clinical columns alone",
        BASELINES,
        "Do clinical columns predict the class?",
        baselines.clinical_columns,
    ),
    Experiment(
        CONTROLS_V_OTHERS,
        "controls v other classes",
        SAME_SITES,
        "Do images without the disease differ by site or finding?",
        controls_v_others,
    ),
    Experiment(
        SAME_SITE,
        "positives v controls",
        SAME_SITES,
        "Are positives separated from controls of their site?",
        same_site,
    ),
    Experiment(
        SAME_SITE_LUNGS,
        "lungs of positives v controls",
        SAME_SITES,
        "Do the lungs alone separate positives from controls?",
        same_site_lungs_only,
    ),
    Experiment(
        PERMUTED,
        "permuted labels",
        NEGATIVE,
        "Is the ROC AUC of random labels near 0.5?",
        permuted_labels,
    ),
)


def run_experiments(audit: Audit, experiments: Sequence[Experiment] = EXPERIMENTS) -> list[Result]:
    """Run the experiments that the given folders allow, in the order given.

    Parameters
    ----------
    audit : Audit
    experiments : sequence of Experiment

    Returns
    -------
    list of Result
        With the reason in place of the metric, where it cannot be computed.
    """
    results: list[Result] = []
    for one in experiments:
        with step(one.title, one.parts):
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
