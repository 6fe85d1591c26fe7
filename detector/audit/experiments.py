"""The experiments of an audit: which there are, in which order, and how they are run.

An experiment is an entry of `EXPERIMENTS`: its id, title and group, its question, and a function that
returns what it found, or None where the folders given do not ask it. It can be run alone and in any order. What its
metric means is a rule in `evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.audit import baselines
from detector.audit.context import Audit, Finding, too_few_lungs
from detector.audit.evidence import (
    AGE,
    BASELINES,
    BORDER,
    BORDER_ADJUSTED,
    CLINICAL,
    CONTROLS_V_OTHERS,
    FILES,
    FULL,
    LUNG_MASK,
    LUNGS_ALONE,
    LUNGS_V_FULL,
    MASKED_OUT,
    MASKED_REGION,
    METADATA,
    NEGATIVE,
    OUTSIDE_V_MASK,
    OUTSIDE_V_SHAPE,
    PERMUTED,
    SAME_SITE,
    SAME_SITE_LUNGS,
    SAME_SITES,
    SEX,
    SIGNAL,
    STRATIFIED,
    VIEW,
    Result,
)
from detector.audit.image_sets import CONTROLS
from detector.audit.metrics import border_adjusted, cross_validate, stratified
from detector.cli.output import progress
from detector.images.lungs import coarse, surroundings
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion
from detector.statistics.auc import auc_difference, roc_auc
from detector.statistics.evaluation import predict
from detector.statistics.metric import Metric
from detector.statistics.proportions import proportion
from detector.statistics.split import TooFewPatientsError


@dataclass(frozen=True)
class Experiment:
    """A line of the audit, before it is run."""

    id: str
    title: str
    group: str
    question: str
    run: Callable[[Audit], Finding | None]


def full_image(audit: Audit) -> Finding:
    """Cross-validate the data set as training does."""
    return Finding(audit.scored.auc())


def within_site_and_view(audit: Audit) -> Finding:
    """Compare the same predictions within one site and view only."""
    return Finding(stratified(audit.scored, audit.samples.strata))


def border_adjusted_predictions(audit: Audit) -> Finding:
    """Compare the same predictions among images of one site and view whose borders are similar."""
    everything = np.arange(len(audit.sets.own))
    adjusted, beyond = border_adjusted(audit.scored, audit.samples.strata, audit.border, everything, audit.options.seed)
    return Finding(adjusted, (f"{beyond.short} above the border's own score",) if beyond.available else ())


def lungs_masked_out(audit: Audit) -> Finding:
    """Repeat it with the lungs black."""
    return audit.of_part(WITHOUT_LUNGS)


def masked_region(audit: Audit) -> Finding:
    """Predict the class from the shape of what is masked out, in the folds of that: it follows the disease, too."""
    rows, files, _ = audit.with_lungs(audit.sets.own)
    if not audit.can_be_validated(rows):
        return Finding(too_few_lungs(rows))
    columns = np.array([coarse(surroundings(mask)) for mask in audit.extractor.masks(rows, Occlusion("", files))])
    truth, patients = audit.is_positive(rows), audit.extractor.patients[rows]
    scored = cross_validate(columns, truth, patients, audit.options.seed, audit.plan(truth, patients))
    return Finding(scored.auc(), (), scored)


def lungs_only(audit: Audit) -> Finding:
    """Repeat it with everything but the lungs black."""
    return audit.of_part(LUNGS_ONLY)


def lung_mask(audit: Audit) -> Finding:
    """Repeat it with the lung mask as the image: the shape of what is masked out may predict by itself."""
    return audit.of_part(OUTLINE)


def differences(audit: Audit) -> dict[str, Metric]:
    """Return paired differences of ROC AUC between experiments of the same images and folds, where both were made."""
    rows, _, _ = audit.with_lungs(audit.sets.own)
    outside, lungs = audit.of_part(WITHOUT_LUNGS).scored, audit.of_part(LUNGS_ONLY).scored
    if outside is None or lungs is None:
        return {}
    whole = audit.scored if len(rows) == len(audit.sets.own) else audit.compare(rows).scored
    found = {}
    for name, one, other in (
        (OUTSIDE_V_SHAPE, outside, masked_region(audit).scored),
        (OUTSIDE_V_MASK, outside, audit.of_part(OUTLINE).scored),
        (LUNGS_V_FULL, lungs, whole),
    ):
        if other is not None:
            scores = (one.scores, other.scores)
            found[name] = auc_difference(scores, one.is_positive, one.patients, audit.options.seed, one.folds)
    return found


def controls_v_others(audit: Audit) -> Finding:
    """Separate the positives' site from the others', without an image of the disease."""
    return audit.compare(np.concatenate([audit.sets.controls, audit.own_others()]), CONTROLS)


def same_site(audit: Audit) -> Finding:
    """Separate patients with and without the disease within its site."""
    return audit.compare(np.concatenate([audit.own_positives(), audit.sets.controls]))


def same_site_lungs_only(audit: Audit) -> Finding:
    """Separate patients with and without the disease within its site by the lungs alone."""
    return audit.compare(np.concatenate([audit.own_positives(), audit.sets.controls]), part=LUNGS_ONLY)


def controls_predicted_positive(audit: Audit) -> Metric | None:
    """Return the share of controls that the model, trained on the whole data set, predicts positive."""
    controls = audit.sets.controls
    if not len(controls):
        return None
    positive = audit.extractor.dataset.classes.index(audit.sets.positive)
    whole = audit.feature_set(audit.sets.own, binary=False)
    fitted = whole.fit(np.arange(len(whole.labels)), audit.recipe, audit.options.seed)
    features = audit.extractor.features(controls)
    predicted = predict(fitted.predict_proba(features, [{}] * len(features)), positive)
    return proportion(predicted == positive, audit.extractor.patients[controls], np.zeros(len(controls), bool))


def permuted_labels(audit: Audit) -> Finding | None:
    """Permute the labels among patients, as often as asked for: the ROC AUC of labels that nothing can predict.

    Value and interval are mean and central 95 % of the permutations; the p-value compares the first repeat of the
    labels as they are with them.

    Reference: M. Ojala, G. C. Garriga, "Permutation tests for studying classifier performance", Journal of Machine
    Learning Research 11 (2010).
    """
    if not audit.options.permuted_labels:
        return None
    samples, scored = audit.samples, audit.scored
    observed = replace(scored, scores=scored.scores[:1], folds=scored.folds[:1]).auc()
    people, inverse = np.unique(samples.groups, return_inverse=True)
    shares = np.bincount(inverse, samples.labels) / np.bincount(inverse)
    areas = []
    for number in range(audit.options.permuted_labels):
        generator = np.random.default_rng([audit.options.seed, number])
        # Of a patient with images of both classes either is taken, by its share.
        labels = generator.permutation(generator.random(len(people)) < shares).astype(int)[inverse]
        permuted = replace(samples, labels=labels)
        found = audit.out_of_fold(permuted, audit.plan(labels == 0, samples.groups, 1)).predictions
        one = roc_auc(found.probabilities[..., 0], labels == 0, samples.groups, folds=found.folds)
        if not (one.available and observed.available):
            return Finding(one if observed.available else observed)
        areas.append(one.point)
    p_value = (1 + sum(area >= observed.point for area in areas)) / (1 + len(areas))
    low, high = np.quantile(areas, [0.025, 0.975])
    null = Metric(float(np.mean(areas)), float(low), float(high), observed.n_positive, observed.n_negative)
    return Finding(null, (f"p = {p_value:.3f}: {len(areas)} permutations, full image {observed.value_text}",))


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
        STRATIFIED,
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
    Experiment(VIEW, "view alone", BASELINES, "Does the view (AP, PA) predict the class?", baselines.alone("view")),
    Experiment(SEX, "sex alone", BASELINES, "Does the sex predict the class?", baselines.alone("sex")),
    Experiment(AGE, "age alone", BASELINES, "Does the age predict the class?", baselines.alone("age")),
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
        "How high is the ROC AUC of labels that nothing can predict?",
        permuted_labels,
    ),
)


def run_experiments(audit: Audit, experiments: Sequence[Experiment] = EXPERIMENTS, quiet: bool = True) -> list[Result]:
    """Run the experiments that the given folders allow, in the order given.

    Returns
    -------
    list of Result
        With the reason in place of the metric, where it cannot be computed.
    """
    results: list[Result] = []
    for one in progress(experiments, len(experiments), "experiments", quiet, "experiment"):
        note = audit.sets.controls_note if one.group == SAME_SITES else ""
        if one.group == SAME_SITES and not (len(audit.sets.controls) or note):
            continue
        try:
            if one.group == SAME_SITES and not len(audit.sets.controls):
                found: Finding | None = Finding(Metric.unavailable("every control was left out"))
            else:
                found = one.run(audit)
        except TooFewPatientsError as error:
            found = Finding(Metric.unavailable(str(error)))
        if found is not None:
            said_before = any(note in result.notes for result in results)
            notes = (*found.notes, note) if note and not said_before else found.notes
            results.append(Result(one.id, one.title, one.group, one.question, found.metric, notes))
    return results
