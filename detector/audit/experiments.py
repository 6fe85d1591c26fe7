"""The experiments of an audit: which there are, in which order, and how they are run.

An experiment is an entry of `EXPERIMENTS`: its id, title and group, its question, and a function that
returns what it found, or None where the folders given do not ask it. It can be run alone and in any order. What its
metric means is a rule in `evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from detector.audit import baselines
from detector.audit.context import Audit, Finding
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
from detector.audit.metrics import border_adjusted, property_matrix, stratified
from detector.cli.output import progress
from detector.images.lungs import coarse, surroundings
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion
from detector.statistics.auc import auc_difference
from detector.statistics.evaluation import predict
from detector.statistics.metric import Metric
from detector.statistics.proportions import proportion
from detector.statistics.split import TooFewPatientsError


def border_adjusted_predictions(audit: Audit) -> Finding:
    """Compare the same predictions among images of one site and view whose borders are similar."""
    everything = np.arange(len(audit.sets.own))
    adjusted, beyond = border_adjusted(audit.scored, audit.samples.strata, audit.border, everything, audit.options.seed)
    return Finding(adjusted, (f"{beyond.short} above the border's own score",) if beyond.available else ())


def masked_region(audit: Audit) -> Finding:
    """Predict the class from the shape of what is masked out, in the folds of that: it follows the disease, too."""
    rows, files, _ = audit.with_lungs(audit.sets.own)
    columns = np.array([coarse(surroundings(mask)) for mask in audit.extractor.masks(rows, Occlusion("", files))])
    plan = audit.plan(audit.is_positive(rows), audit.extractor.patients[rows])
    scored = audit.linear(columns, rows, plan)
    return Finding(scored.auc(), (), scored)


def differences(audit: Audit) -> dict[str, Metric]:
    """Return paired differences of ROC AUC between experiments of the same images and folds; empty without lungs."""
    try:
        rows, _, _ = audit.with_lungs(audit.sets.own)
    except TooFewPatientsError:
        return {}
    outside, lungs = audit.of_part(WITHOUT_LUNGS).scored, audit.of_part(LUNGS_ONLY).scored
    whole = audit.scored if len(rows) == len(audit.sets.own) else audit.compare(rows).scored
    pairs = {
        OUTSIDE_V_SHAPE: (outside, masked_region(audit).scored),
        OUTSIDE_V_MASK: (outside, audit.of_part(OUTLINE).scored),
        LUNGS_V_FULL: (lungs, whole),
    }
    return {
        name: auc_difference((one.scores, other.scores), one.is_positive, one.patients, audit.options.seed, one.folds)
        for name, (one, other) in pairs.items()
        if one and other
    }


def with_controls(
    rows: Callable[[Audit, np.ndarray], list[np.ndarray]], positive: str | None = None, part: str = ""
) -> Callable[[Audit], Finding | None]:
    """Return an experiment on some images, given the controls of the same site; it finds None where none were given."""

    def experiment(audit: Audit) -> Finding | None:
        controls = audit.sets.controls
        if len(controls):
            return audit.compare(np.concatenate(rows(audit, controls)), positive, part)
        return Finding(Metric.unavailable("every control was left out")) if audit.sets.notes.get("") else None

    return experiment


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
    if not observed.available:
        return Finding(observed)
    people, inverse = np.unique(samples.groups, return_inverse=True)
    shares, areas = np.bincount(inverse, samples.labels) / np.bincount(inverse), []
    for number in range(audit.options.permuted_labels):
        generator = np.random.default_rng([audit.options.seed, number])
        # Of a patient with images of both classes either is taken, by its share.
        labels = generator.permutation(generator.random(len(people)) < shares).astype(int)[inverse]
        permuted = audit.out_of_fold(replace(samples, labels=labels), 1).predictions.scores(0).auc()
        if not permuted.available:
            return Finding(permuted)
        areas.append(permuted.point)
    p_value = (1 + sum(area >= observed.point for area in areas)) / (1 + len(areas))
    low, high = np.quantile(areas, [0.025, 0.975])
    null = Metric(float(np.mean(areas)), float(low), float(high), observed.n_positive, observed.n_negative)
    return Finding(null, (f"p = {p_value:.3f}: {len(areas)} permutations, full image {observed.value_text}",))


Experiment = tuple[str, str, str, Callable[[Audit], Finding | None]]  # title, group, question, and what is run
# By their ids, in the order in which they are printed.
EXPERIMENTS: Mapping[str, Experiment] = {
    FULL: ("full image", SIGNAL, "Does the model separate the classes?", lambda audit: Finding(audit.scored.auc())),
    MASKED_OUT: (
        "lungs masked out",
        SIGNAL,
        "Are the classes separated without the lungs?",
        lambda audit: audit.of_part(WITHOUT_LUNGS),
    ),
    MASKED_REGION: (
        "shape of the masked region",
        SIGNAL,
        "Does the shape of the masked region predict the class?",
        masked_region,
    ),
    LUNGS_ALONE: (
        "lungs only",
        SIGNAL,
        "Are the classes separated by the lungs alone?",
        lambda audit: audit.of_part(LUNGS_ONLY),
    ),
    LUNG_MASK: (
        "shape of the lung mask",
        SIGNAL,
        "Does the shape of the lungs predict the class?",
        lambda audit: audit.of_part(OUTLINE),
    ),
    STRATIFIED: (
        "within one site and view",
        SIGNAL,
        "Are the classes separated within one site and view?",
        lambda audit: Finding(stratified(audit.scored, audit.samples.strata)),
    ),
    BORDER_ADJUSTED: (
        "images with similar borders",
        SIGNAL,
        "Are the classes separated if image borders are similar?",
        border_adjusted_predictions,
    ),
    BORDER: (
        "image border alone",
        BASELINES,
        "Does the outer 10 % of the image predict the class?",
        lambda audit: Finding(audit.border.auc()),
    ),
    FILES: (
        "file properties alone",
        BASELINES,
        "Do size, format and brightness predict the class?",
        lambda audit: Finding(audit.linear(property_matrix(audit.own_properties), audit.sets.own).auc()),
    ),
    METADATA: ("site and view alone", BASELINES, "Do site and view predict the class?", baselines.metadata),
    VIEW: ("view alone", BASELINES, "Does the view (AP, PA) predict the class?", baselines.alone("view")),
    SEX: ("sex alone", BASELINES, "Does the sex predict the class?", baselines.alone("sex")),
    AGE: ("age alone", BASELINES, "Does the age predict the class?", baselines.alone("age")),
    CLINICAL: (
        "clinical columns alone",
        BASELINES,
        "Do clinical columns predict the class?",
        baselines.clinical_columns,
    ),
    CONTROLS_V_OTHERS: (
        "controls v other classes",
        SAME_SITES,
        "Do images without the disease differ by site or finding?",
        with_controls(lambda audit, controls: [controls, audit.own_others()], CONTROLS),
    ),
    SAME_SITE: (
        "positives v controls",
        SAME_SITES,
        "Are positives separated from controls of their site?",
        with_controls(lambda audit, controls: [audit.own_positives(), controls]),
    ),
    SAME_SITE_LUNGS: (
        "lungs of positives v controls",
        SAME_SITES,
        "Do the lungs alone separate positives from controls?",
        with_controls(lambda audit, controls: [audit.own_positives(), controls], part=LUNGS_ONLY),
    ),
    PERMUTED: (
        "permuted labels",
        NEGATIVE,
        "How high is the ROC AUC of labels that nothing can predict?",
        permuted_labels,
    ),
}


def run_experiments(
    audit: Audit, experiments: Mapping[str, Experiment] = EXPERIMENTS, quiet: bool = True
) -> list[Result]:
    """Run the experiments that the given folders allow; one that cannot be computed has the reason as its metric."""
    results: list[Result] = []
    for name, (title, group, question, run) in progress(
        experiments.items(), len(experiments), "experiments", quiet, "experiment"
    ):
        try:
            found = run(audit)
        except TooFewPatientsError as error:
            found = Finding(Metric.unavailable(str(error)))
        if found is not None:
            note = audit.sets.notes.get("", "") if name == CONTROLS_V_OTHERS else ""
            notes = (*found.notes, note) if note else found.notes
            results.append(Result(name, title, group, question, found.metric, notes))
    return results
