"""A saved model on images from elsewhere, beside what view and border alone predict there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.audit.context import Audit
from detector.audit.evidence import BORDER, EXTERNAL, VIEW, Result
from detector.audit.linear_baseline import border_matrix, indicators, linear_auc
from detector.datasets import clinical
from detector.network import head, model_file
from detector.network.backbone import DIGEST, digest
from detector.network.model_file import Description
from detector.statistics.auc import roc_auc
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.statistics.strata import crossed
from detector.training.recipes import Recipe

ONE_VIEW = "within_view"
TITLES = {ONE_VIEW: "within one view", VIEW: "view alone", BORDER: "image border alone"}


@dataclass(frozen=True)
class SavedHead:
    """The head of a saved model, its description, and what was assumed of a model without one."""

    weights: head.Arrays
    description: Description
    note: str = ""


@dataclass(frozen=True)
class External:
    """What a saved model reaches on one external folder, and what reaches it without the chest.

    Attributes
    ----------
    result : Result
        The line of the audit.
    beside : dict of str to Metric
        `ONE_VIEW`, `VIEW` and `BORDER`.
    warning : str
        Empty where nothing else could explain the result.
    """

    result: Result
    beside: dict[str, Metric]
    warning: str

    def as_json(self) -> dict[str, object]:
        """Return the result as it stands in a JSON file."""
        beside = {name: metric.as_json() for name, metric in self.beside.items()}
        return {"id": self.result.id, "beside": beside, "warning": self.warning}


def read_model(path: Path, recipe: Recipe) -> SavedHead:
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
    return SavedHead(found.head, description, found.note)


def evaluate_external(audit: Audit, name: str, rows: np.ndarray, model: SavedHead) -> External:
    """Evaluate a saved model, without any training, on images from elsewhere.

    Parameters
    ----------
    audit : Audit
    name : str
        Of the folder.
    rows : ndarray of int
        Its images; those of the model's positive class are separated from all others, whatever these are called.
    model : SavedHead

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
    scores = head.predict_proba(features, model.weights)[:, description.classes.index(description.positive)]
    patients = audit.extractor.patients[rows]
    seed = audit.settings.seed
    area = roc_auc(scores[None], truth, patients)
    views = np.array([image.view for image in images])
    known = (views != "").all()
    unknown = Metric.unavailable("not every view is known")
    properties = border_matrix([audit.extractor.properties[row] for row in rows])
    beside = {
        ONE_VIEW: roc_auc(scores[None], truth, patients, crossed(views)),
        VIEW: linear_auc(indicators(views), truth, patients, seed) if known else unknown,
        BORDER: linear_auc(properties, truth, patients, seed),
    }
    return External(Result(*line, area, marked), beside, _warning(area, beside))


def _warning(area: Metric, beside: dict[str, Metric]) -> str:
    """Say what else could explain a result: it predicts the class as well as the model, as far as can be seen."""
    if not area.available or area.low <= 0.5:
        return ""
    suspects = [
        f"{TITLES[name]} {beside[name].short}"
        for name in (VIEW, BORDER)
        if beside[name].available and beside[name].low > 0.5 and beside[name].high >= area.point
    ]
    return f"{' and '.join(suspects)} could explain this ROC AUC without the disease" if suspects else ""
