"""The experiments of an audit: which there are, in which order, how they are run, and what they show the network.

An experiment is an entry of `EXPERIMENTS`, in its group: its id, its title, its question, and a function that returns
what it found, or None where the folders given do not ask it. It can be run alone and in any order. What its metric
means is a rule in `evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detector import InputError
from detector.audit import baselines
from detector.audit import evidence as ids
from detector.audit.checks import judge
from detector.audit.context import CONTROLS, Audit, Finding
from detector.audit.evidence import Result
from detector.audit.metrics import border_adjusted, cross_validate, indicators, lacking, property_matrix, stratified
from detector.cli.output import progress, warn
from detector.datasets.dataset import Dataset
from detector.images.inspect import MARGIN
from detector.images.lungs import coarse, describe, surroundings
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion
from detector.network import model_file
from detector.network.backbone import DIGEST, digest
from detector.network.head import TrainedHead
from detector.network.model_file import SavedModel
from detector.statistics.auc import auc_difference
from detector.statistics.evaluation import predict
from detector.statistics.intervals import proportion
from detector.statistics.metric import Metric
from detector.statistics.split import TooFewPatientsError
from detector.training.crossvalidation import evaluate_once
from detector.training.dataset import extract
from detector.training.recipes import Recipe

EACH = 2  # example images of each side


def full_image(audit: Audit) -> Finding:
    """Separate the classes by the images as they are."""
    return Finding(audit.scored.auc(), (), audit.scored)


def of_part(part: str) -> Callable[[Audit], Finding]:
    """Return an experiment on a part of the data set's images; of all parts, images and folds are the same."""
    return lambda audit: audit.compare(audit.sets.own, part=part)


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
    controls, extractor, seed = audit.sets.controls, audit.extractor, audit.options.seed
    if not len(controls):
        return None
    own = replace(extractor.dataset, images=audit.own_images)
    positive = own.classes.index(audit.sets.positive)
    whole = extract(extractor, audit.recipe, seed, audit.sets.own, own.labels, own.classes)
    fitted = whole.fit(np.arange(len(own.images)), audit.recipe, seed)
    features = extractor.features(controls)
    predicted = predict(fitted.predict_proba(features, [{}] * len(features)), positive)
    return proportion(predicted == positive, extractor.patients[controls], np.zeros(len(controls), bool))


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


Experiment = tuple[str, str, Callable[[Audit], Finding | None]]  # title, question, and what is run
# By group and id, in the order in which they are printed.
EXPERIMENTS: Mapping[str, Mapping[str, Experiment]] = {
    ids.SIGNAL: {
        ids.FULL: ("full image", "Does the model separate the classes?", full_image),
        ids.MASKED_OUT: ("lungs masked out", "Are the classes separated without the lungs?", of_part(WITHOUT_LUNGS)),
        ids.MASKED_REGION: (
            "shape of the masked region",
            "Does the shape of the masked region predict the class?",
            masked_region,
        ),
        ids.LUNGS_ALONE: ("lungs only", "Are the classes separated by the lungs alone?", of_part(LUNGS_ONLY)),
        ids.LUNG_MASK: ("shape of the lung mask", "Does the shape of the lungs predict the class?", of_part(OUTLINE)),
        ids.STRATIFIED: (
            "within one site and view",
            "Are the classes separated within one site and view?",
            lambda audit: Finding(stratified(audit.scored, audit.samples.strata)),
        ),
        ids.BORDER_ADJUSTED: (
            "images with similar borders",
            "Are the classes separated if image borders are similar?",
            border_adjusted_predictions,
        ),
    },
    ids.BASELINES: {
        ids.BORDER: (
            "image border alone",
            "Does the outer 10 % of the image predict the class?",
            lambda audit: Finding(audit.border.auc()),
        ),
        ids.FILES: (
            "file properties alone",
            "Do size, format and brightness predict the class?",
            lambda audit: Finding(audit.linear(property_matrix(audit.own_properties), audit.sets.own).auc()),
        ),
        ids.METADATA: ("site and view alone", "Do site and view predict the class?", baselines.metadata),
        ids.VIEW: ("view alone", "Does the view (AP, PA) predict the class?", baselines.alone("view")),
        ids.SEX: ("sex alone", "Does the sex predict the class?", baselines.alone("sex")),
        ids.AGE: ("age alone", "Does the age predict the class?", baselines.alone("age")),
        ids.CLINICAL: (
            "clinical columns alone",
            "Do clinical columns predict the class?",
            baselines.clinical_columns,
        ),
    },
    ids.SAME_SITES: {
        ids.CONTROLS_V_OTHERS: (
            "controls v other classes",
            "Do images without the disease differ by site or finding?",
            with_controls(lambda audit, controls: [controls, audit.sides[1]], CONTROLS),
        ),
        ids.SAME_SITE: (
            "positives v controls",
            "Are positives separated from controls of their site?",
            with_controls(lambda audit, controls: [audit.sides[0], controls]),
        ),
        ids.SAME_SITE_LUNGS: (
            "lungs of positives v controls",
            "Do the lungs alone separate positives from controls?",
            with_controls(lambda audit, controls: [audit.sides[0], controls], part=LUNGS_ONLY),
        ),
    },
    ids.NEGATIVE: {
        ids.PERMUTED: (
            "permuted labels",
            "How high is the ROC AUC of labels that nothing can predict?",
            permuted_labels,
        ),
    },
}


def run_experiments(audit: Audit, quiet: bool = True) -> list[Result]:
    """Run the experiments that the given folders allow; one that cannot be computed has the reason as its metric."""
    results = []
    every = [(group, name, *one) for group, members in EXPERIMENTS.items() for name, one in members.items()]
    for group, name, title, question, run in progress(every, len(every), "experiments", quiet, "experiment"):
        try:
            found = run(audit)
        except TooFewPatientsError as error:
            found = Finding(Metric.unavailable(str(error)))
        if found is not None:
            note = audit.sets.notes.get("", "") if name == ids.CONTROLS_V_OTHERS else ""
            notes = (*found.notes, note) if note else found.notes
            results.append(Result(name, title, group, question, found.metric, notes, scored=found.scored))
    return results


def differences(audit: Audit, results: Sequence[Result]) -> dict[tuple[str, str], Metric]:
    """Return paired differences of ROC AUC between experiments of the same images and folds; empty without lungs."""
    scored = {one.id: one.scored for one in results if one.scored}
    if ids.LUNGS_ALONE not in scored:
        return {}
    if len(scored[ids.LUNGS_ALONE].patients) < len(audit.sets.own):  # the others have no lungs
        rows, _, _ = audit.with_lungs(audit.sets.own)
        scored[ids.FULL] = audit.out_of_fold(audit.feature_set(rows)).predictions.scores(0)
    found = {
        (one, other): auc_difference(scored[one], scored[other], audit.options.seed) for one, other in ids.DIFFERENCES
    }
    return {pair: one for pair, one in found.items() if one.available}


# A saved model on images from elsewhere, beside what view and border alone predict there

ONE_VIEW, SENSITIVITY, SPECIFICITY = "within_view", "sensitivity", "specificity"
BESIDE = {
    SENSITIVITY: SENSITIVITY,
    SPECIFICITY: SPECIFICITY,
    ONE_VIEW: "within one view",
    ids.VIEW: "view alone",
    ids.BORDER: "image border alone",
}


def read_model(path: Path, recipe: Recipe) -> SavedModel:
    """Read the head of a saved model that was trained with the audit's own recipe, on ImageNet's base."""
    if not path.is_file():
        raise InputError(f"--external needs a saved model, and --model {path} is not a file; train one first")
    found = model_file.read(path)
    if found.note:
        warn(f"model {path} was {found.note}")
    description = found.description
    if digest(found.weights) != DIGEST:
        raise InputError(f"--model {path} has another base than ImageNet's; it was not saved by train_covid19.py")
    for flag, own, trained in (
        ("recipe", recipe.name, description.recipe),
        ("pooling", recipe.pooling, description.pooling),
    ):
        if own != trained:
            raise InputError(f"--model {path} was trained with --{flag} {trained}; audit with the same")
    return found


def evaluate_external(audit: Audit, name: str, rows: np.ndarray, model: SavedModel) -> Result:
    """Evaluate a saved model, without any training, on the images of a folder from elsewhere.

    Those of the model's positive class are separated from all others, whatever these are called. Beside the ROC AUC are
    `SENSITIVITY` and `SPECIFICITY` at the model's threshold, and the ROC AUC of `ONE_VIEW`, `VIEW` and `BORDER`.
    """
    description, note, seed = model.description, audit.sets.notes.get(name, ""), audit.options.seed
    truth, notes = audit.labels(rows) == description.positive, (note,) if note else ()
    question = "Does the saved model separate the classes of this folder?"
    line = f"external:{name}", f"external {name}", ids.EXTERNAL, question
    if note and (few := lacking(truth, "images that are left")):
        return Result(*line, few, notes)
    here = audit.extractor.subset(rows)
    images = here.dataset.images
    fitted = TrainedHead(model.head, columns=description.clinical)
    probabilities = fitted.predict_proba(audit.extractor.features(rows), [image.row for image in images])
    positive = description.classes.index(description.positive)
    others = (predict(probabilities, positive, description.threshold) != positive).astype(int)
    both = np.stack([probabilities[:, positive], 1 - probabilities[:, positive]], axis=1)
    classes = [description.positive, "others"]
    labelled = [replace(image, label=classes[int(not one)]) for image, one in zip(images, truth, strict=True)]
    here = replace(here, dataset=Dataset(labelled, classes))
    found = evaluate_once(here, both, others, description.positive, description.threshold)
    worth, area = judge(here, found, seed), found.evaluation.roc_auc
    views = np.array([image.view for image in images])
    by_view = Metric.unavailable("not every view is known")
    if (views != "").all():
        by_view = cross_validate(indicators(views), truth, here.patients, seed).auc()
    beside = {
        SENSITIVITY: found.evaluation.sensitivity,
        SPECIFICITY: found.evaluation.specificity,
        ONE_VIEW: found.predictions.scores(0).auc(views),
        ids.VIEW: by_view,
        ids.BORDER: worth.metrics[ids.BORDER],
    }
    warnings = [
        f"{one.message}, whatever the ROC AUC is" for one in worth.checks if one.id == "predicted_classes" and one.warns
    ]
    # What is shown to have half of what lies above chance there.
    if suspects := [
        f"{BESIDE[name]} {beside[name].short}"
        for name in (ids.VIEW, ids.BORDER)
        if area.low > ids.CHANCE and ids.reaches_half(beside[name], area)
    ]:
        warnings.append(f"{' and '.join(suspects)} could explain this ROC AUC without the disease")
    return Result(*line, area, notes, beside, "; ".join(warnings))


# What the network was shown in an experiment

PARTS = {
    ids.FULL: ("the full image", None),
    ids.MASKED_OUT: ("the image with its lungs masked out", WITHOUT_LUNGS),
    ids.LUNGS_ALONE: ("the lungs only", LUNGS_ONLY),
    ids.LUNG_MASK: ("the shape of the lung mask, and no pixel of the image", OUTLINE),
}
EDGE = "its border"


class Example(NamedTuple):
    """What the network was shown in an experiment: in words, and images with their class and what they show."""

    text: str
    images: list[tuple[np.ndarray, str, str]]


def find_examples(audit: Audit, names: Sequence[str]) -> dict[str, Example]:
    """Return a few images as each experiment showed them, and those whose border is most typical of their class."""
    chosen = []
    for side in audit.sides:
        few = side[: 4 * EACH]  # the lungs of all were looked for before: none are computed now
        chosen += few[[describe(mask).found for mask in audit.extractor.lungs(few)]][:EACH].tolist()
    found = {
        name: Example(f"Shown: {what}.", [_shown(audit, row, what, part) for row in chosen])
        for name, (what, part) in PARTS.items()
        if name in names
    }
    if audit.border.possible and ids.BORDER in names:
        # The most confident of each side: if a shortcut is in the border, it is on these.
        scores = dict(zip(audit.sets.own.tolist(), audit.border.scores[0], strict=True))
        positives, others = audit.sides
        best = sorted(positives, key=scores.__getitem__, reverse=True)[:EACH]
        best += sorted(others, key=scores.__getitem__)[:EACH]
        text = "No network: properties of the outer 10 %. These images are predicted best; look for what they share."
        found[ids.BORDER] = Example(text, [_shown(audit, row, EDGE) for row in best])
    return found


def _shown(audit: Audit, row: int, what: str, part: str | None = None) -> tuple[np.ndarray, str, str]:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row, Occlusion(part) if part else None)
    if what == EDGE:
        margin = round(len(pixels) * MARGIN)
        pixels = pixels.copy()
        pixels[margin:-margin, margin:-margin] = 0
    return pixels, image.label, f"{image.label}: {image.file}, {what}"
