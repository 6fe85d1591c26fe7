"""A saved model on images from elsewhere, beside what view and border alone predict there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError
from detector.audit.context import Audit
from detector.audit.evidence import BORDER, CHANCE, EXTERNAL, VIEW, Result, reaches_half
from detector.audit.judgement import judge
from detector.audit.metrics import cross_validate, indicators
from detector.datasets import clinical
from detector.datasets.dataset import Dataset
from detector.network import head, model_file
from detector.network.backbone import DIGEST, digest
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


@dataclass(frozen=True)
class External:
    """What a saved model reaches on one external folder, and what reaches it without the chest.

    Attributes
    ----------
    result : Result
        The line of the audit.
    beside : dict of str to Metric
        `SENSITIVITY` and `SPECIFICITY` at the model's threshold; ROC AUC of `ONE_VIEW`, `VIEW` and `BORDER`.
    warning : str
        Which class is never predicted, and what else could explain the result; mostly empty.
    """

    result: Result
    beside: dict[str, Metric]
    warning: str

    def as_json(self) -> dict[str, object]:
        """Return the result as it stands in a JSON file."""
        beside = {name: metric.as_json() for name, metric in self.beside.items()}
        return {"id": self.result.id, "beside": beside, "warning": self.warning}


def read_model(path: Path, recipe: Recipe) -> SavedModel:
    """Read the head of a saved model that was trained with the audit's own recipe, on ImageNet's base.

    Raises
    ------
    InputError
        If there is no such model.
    """
    if not path.is_file():
        raise InputError(f"--external needs a saved model, and --model {path} is not a file; train one first")
    found = model_file.read(path)
    description = found.description
    if digest(found.weights) != DIGEST:
        raise InputError(f"--model {path} has another base than ImageNet's; it was not saved by train_covid19.py")
    if description.recipe != recipe.name:
        raise InputError(f"--model {path} was trained with --recipe {description.recipe}; audit with the same")
    if description.pooling != recipe.pooling:
        raise InputError(f"--model {path} was trained with --pooling {description.pooling}; audit with the same")
    return found


def evaluate_external(audit: Audit, name: str, rows: np.ndarray, model: SavedModel) -> External:
    """Evaluate a saved model, without any training, on images from elsewhere.

    Parameters
    ----------
    audit : Audit
    name : str
        Of the folder.
    rows : ndarray of int
        Its images; those of the model's positive class are separated from all others, whatever these are called.
    model : SavedModel

    Returns
    -------
    External
    """
    description = model.description
    truth, note = audit.labels(rows) == description.positive, audit.sets.external_notes.get(name, "")
    line = (
        f"external:{name}",
        f"external {name}",
        EXTERNAL,
        "Does the saved model separate the classes of this folder?",
    )
    marked = (note,) if note else ()
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    if note and min(n_positive, n_negative) < FEWEST:
        nothing = too_few(n_positive, n_negative, "images that are left")
        return External(Result(*line, nothing, marked), dict.fromkeys(TITLES, nothing), "")
    images = [audit.extractor.dataset.images[row] for row in rows]
    extra = clinical.encode(description.clinical, [image.row for image in images])
    features = np.concatenate([audit.extractor.features(rows), extra], axis=1)
    positive = description.classes.index(description.positive)
    probabilities = head.predict_proba(features, model.head)
    others = (predict(probabilities, positive, description.threshold) != positive).astype(int)
    scores, patients, seed = probabilities[:, positive], audit.extractor.patients[rows], audit.options.seed
    names = np.where(truth, description.positive, OTHERS).tolist()
    labelled = [replace(image, label=name) for image, name in zip(images, names, strict=True)]
    here = replace(
        audit.extractor,
        dataset=Dataset(labelled, [description.positive, OTHERS]),
        properties=[audit.extractor.properties[row] for row in rows],
        patients=patients,
        near_duplicates={},
    )
    found = evaluate_once(here, np.stack([scores, 1 - scores], 1), others, description.positive, description.threshold)
    worth, area = judge(here, found, seed), found.evaluation.roc_auc
    views = np.array([image.view for image in images])
    known = (views != "").all()
    unknown = Metric.unavailable("not every view is known")
    beside = {
        SENSITIVITY: found.evaluation.sensitivity,
        SPECIFICITY: found.evaluation.specificity,
        ONE_VIEW: roc_auc(scores[None], truth, patients, crossed(views)),
        VIEW: cross_validate(indicators(views), truth, patients, seed).auc() if known else unknown,
        BORDER: worth.metrics[BORDER],
    }
    (check,) = (one for one in worth.checks if one.id == "predicted_classes")
    collapsed = f"{check.message}, whatever the ROC AUC is" if check.warns else ""
    warning = "; ".join(filter(None, [collapsed, _warning(area, beside)]))
    return External(Result(*line, area, marked), beside, warning)


def _warning(area: Metric, beside: dict[str, Metric]) -> str:
    """Say what else predicts the class there: it is shown to have half of what lies above chance."""
    suspects = [
        f"{TITLES[name]} {beside[name].short}"
        for name in (VIEW, BORDER)
        if area.low > CHANCE and beside[name].available and reaches_half(beside[name], area)
    ]
    return f"{' and '.join(suspects)} could explain this ROC AUC without the disease" if suspects else ""
