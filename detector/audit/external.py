"""A saved model on images from elsewhere, beside what view and border alone predict there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from detector import InputError
from detector.audit.context import Audit
from detector.audit.evidence import BORDER, CHANCE, EXTERNAL, VIEW, Result, reaches_half
from detector.audit.judgement import judge
from detector.audit.metrics import cross_validate, indicators
from detector.datasets.dataset import Dataset
from detector.network import model_file
from detector.network.backbone import DIGEST, digest
from detector.network.head import TrainedHead
from detector.network.model_file import SavedModel
from detector.statistics.auc import roc_auc
from detector.statistics.evaluation import predict
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.statistics.strata import crossed
from detector.training.crossvalidation import evaluate_once
from detector.training.recipes import Recipe

ONE_VIEW, SENSITIVITY, SPECIFICITY = "within_view", "sensitivity", "specificity"
TITLES = {
    SENSITIVITY: SENSITIVITY,
    SPECIFICITY: SPECIFICITY,
    ONE_VIEW: "within one view",
    VIEW: "view alone",
    BORDER: "image border alone",
}
OTHERS = "others"  # the classes beside the positive one, whatever they are called


def read_model(path: Path, recipe: Recipe) -> SavedModel:
    """Read the head of a saved model that was trained with the audit's own recipe, on ImageNet's base."""
    if not path.is_file():
        raise InputError(f"--external needs a saved model, and --model {path} is not a file; train one first")
    found = model_file.read(path)
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
    description, patients, seed = model.description, audit.extractor.patients[rows], audit.options.seed
    truth, note = audit.labels(rows) == description.positive, audit.sets.notes.get(name, "")
    question, notes = "Does the saved model separate the classes of this folder?", (note,) if note else ()
    line = f"external:{name}", f"external {name}", EXTERNAL, question
    n_positive = int(truth.sum())
    if note and not FEWEST <= n_positive <= len(rows) - FEWEST:
        nothing = too_few(n_positive, len(rows) - n_positive, "images that are left")
        return Result(*line, nothing, notes)
    images = [audit.extractor.dataset.images[row] for row in rows]
    fitted = TrainedHead(model.head, columns=description.clinical)
    probabilities = fitted.predict_proba(audit.extractor.features(rows), [image.row for image in images])
    positive = description.classes.index(description.positive)
    others = (predict(probabilities, positive, description.threshold) != positive).astype(int)
    scores = probabilities[:, positive]
    names = np.where(truth, description.positive, OTHERS).tolist()
    labelled = [replace(image, label=label) for image, label in zip(images, names, strict=True)]
    here = replace(audit.extractor.subset(rows), dataset=Dataset(labelled, [description.positive, OTHERS]))
    both = np.stack([scores, 1 - scores], axis=1)
    found = evaluate_once(here, both, others, description.positive, description.threshold)
    worth, area = judge(here, found, seed), found.evaluation.roc_auc
    views = np.array([image.view for image in images])
    unknown = Metric.unavailable("not every view is known")
    beside = {
        SENSITIVITY: found.evaluation.sensitivity,
        SPECIFICITY: found.evaluation.specificity,
        ONE_VIEW: roc_auc(scores[None], truth, patients, crossed(views)),
        VIEW: cross_validate(indicators(views), truth, patients, seed).auc() if (views != "").all() else unknown,
        BORDER: worth.metrics[BORDER],
    }
    collapsed = [one.message for one in worth.checks if one.id == "predicted_classes" and one.warns]
    warnings = [f"{message}, whatever the ROC AUC is" for message in collapsed]
    # What is shown to have half of what lies above chance there.
    if suspects := [
        f"{TITLES[name]} {beside[name].short}"
        for name in (VIEW, BORDER)
        if area.low > CHANCE and beside[name].available and reaches_half(beside[name], area)
    ]:
        warnings.append(f"{' and '.join(suspects)} could explain this ROC AUC without the disease")
    return Result(*line, area, notes, beside, "; ".join(warnings))
