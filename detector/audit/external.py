"""A saved model on images from elsewhere, beside what view and border alone predict there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detector import InputError
from detector.audit.context import Audit
from detector.audit.evidence import BORDER, CHANCE, EXTERNAL, VIEW, Result, reaches_half
from detector.audit.metrics import cross_validate, indicators
from detector.network import model_file
from detector.network.backbone import DIGEST, digest
from detector.network.head import TrainedHead
from detector.network.model_file import SavedModel
from detector.statistics.auc import roc_auc
from detector.statistics.evaluation import Predictions, evaluate, predict
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.statistics.strata import crossed
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
        return Result(*line, nothing, notes, dict.fromkeys(TITLES, nothing))
    images = [audit.extractor.dataset.images[row] for row in rows]
    fitted = TrainedHead(model.head, columns=description.clinical)
    probabilities = fitted.predict_proba(audit.extractor.features(rows), [image.row for image in images])
    positive = description.classes.index(description.positive)
    others = (predict(probabilities, positive, description.threshold) != positive).astype(int)
    scores = probabilities[:, positive]
    both = np.stack([scores, 1 - scores], axis=1)
    predictions = Predictions.of_one_model((~truth).astype(int), patients, both, others)
    found = evaluate(predictions, [description.positive, OTHERS], 0)
    views = np.array([image.view for image in images])
    border = np.array([audit.extractor.properties[row].border for row in rows], float)
    unknown = Metric.unavailable("not every view is known")
    beside = {
        SENSITIVITY: found.sensitivity,
        SPECIFICITY: found.specificity,
        ONE_VIEW: roc_auc(scores[None], truth, patients, crossed(views)),
        VIEW: cross_validate(indicators(views), truth, patients, seed).auc() if (views != "").all() else unknown,
        BORDER: cross_validate(border, truth, patients, seed).auc(),
    }
    warnings = []
    for never in (name for name, n in zip(found.classes, found.confusion.sum(axis=0), strict=True) if not n):
        warnings.append(f"{never} is never predicted, whatever the ROC AUC is")
    # What is shown to have half of what lies above chance there.
    if suspects := [
        f"{TITLES[name]} {beside[name].short}"
        for name in (VIEW, BORDER)
        if found.roc_auc.low > CHANCE and beside[name].available and reaches_half(beside[name], found.roc_auc)
    ]:
        warnings.append(f"{' and '.join(suspects)} could explain this ROC AUC without the disease")
    return Result(*line, found.roc_auc, notes, beside, "; ".join(warnings))
