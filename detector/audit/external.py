"""A saved model on images from elsewhere, beside what view and border alone tell there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.audit.comparison import Audit
from detector.audit.conclusion import figures
from detector.audit.experiments import BORDER, VIEW, Result
from detector.audit.linear_baseline import area_or_why, border_matrix, indicators, linear_area
from detector.datasets import clinical
from detector.images.occlusion import LUNGS_ONLY, Occlusion
from detector.network import head, model_file
from detector.network.model import Description
from detector.network.weights import DIGEST, digest
from detector.statistics.roc import Area, patient_area
from detector.training.recipes import Recipe

EXTERNAL = "external"
ONE_VIEW = "among films of one view"


@dataclass(frozen=True)
class External:
    """What a saved model reaches on one external folder, and what reaches it without a look at the chest.

    Attributes
    ----------
    result : Result
        The row of the audit.
    beside : dict of str to Area or str
        `ONE_VIEW`, `VIEW` and `BORDER`; words where one cannot be had.
    warning : str
        Empty where nothing else could explain the result.
    """

    result: Result
    beside: dict[str, Area | str]
    warning: str

    def lines(self) -> list[str]:
        """Return what is printed below the row."""
        lines = [f"  {name:<32} {area}" for name, area in self.beside.items()]
        return [*lines, f"  ! {self.warning}"] if self.warning else lines


def read_model(path: Path, recipe: Recipe) -> tuple[head.Arrays, Description]:
    """Read the head of a saved model that was trained with the audit's own recipe, on ImageNet's base.

    Raises
    ------
    InputError
        If there is no such model.
    """
    if not path.is_file():
        raise InputError(f"--external needs a saved model, and --model {path} is not a file; train one first")
    weights, arrays, description, _ = model_file.read(path)
    if digest(weights) != DIGEST:
        raise InputError(f"--model {path} has another base than ImageNet's; it was not saved by train_covid19.py")
    if description.recipe != recipe.name:
        raise InputError(f"--model {path} was trained with --recipe {description.recipe}; audit with the same")
    if description.pooling != recipe.pooling:
        raise InputError(f"--model {path} was trained with --pooling {description.pooling}; audit with the same")
    return arrays, description


def evaluate_external(
    audit: Audit, name: str, rows: np.ndarray, weights: head.Arrays, description: Description
) -> External:
    """Evaluate a saved model, without any training, on images from elsewhere.

    Parameters
    ----------
    audit : Audit
    name : str
        Of the folder.
    rows : ndarray of int
        Its images; those of the model's positive class are told from all others, whatever these are called.
    weights : list of ndarray
        The model's head.
    description : Description

    Returns
    -------
    External
    """
    images = [audit.extractor.dataset.images[row] for row in rows]
    extra = clinical.encode(description.clinical, [image.row for image in images])
    hide = Occlusion(LUNGS_ONLY) if description.input == "lungs" else None
    features = np.concatenate([audit.extractor.features(rows, hide), extra], axis=1)
    scores = head.predict_proba(features, weights)[:, description.classes.index(description.positive)]
    truth, patients = audit.labels(rows) == description.positive, audit.extractor.patients[rows]
    seed = audit.settings.seed
    area = patient_area(scores[None], truth, patients, seed)
    views = np.array([image.view for image in images])
    beside: dict[str, Area | str] = {
        ONE_VIEW: "undefined, no view of both classes is known",
        VIEW: "undefined, not every view is known",
    }
    beside[ONE_VIEW] = patient_area(scores[None], truth, patients, seed, views) or beside[ONE_VIEW]
    if (views != "").all():
        beside[VIEW] = linear_area(indicators(views), truth, patients, seed) or beside[VIEW]
    properties = border_matrix([audit.extractor.properties[row] for row in rows])
    beside[BORDER] = area_or_why(properties, truth, patients, seed)
    result = Result(f"{EXTERNAL} {name}", "does the saved model travel?", area)
    return External(result, beside, _warning(area, beside))


def _warning(area: Area, beside: dict[str, Area | str]) -> str:
    """Say what else could explain a result: it tells the classes as well as the model, as far as can be seen."""
    suspects: Sequence[str] = [
        f"{name} {figures(beside[name])}"
        for name in (VIEW, BORDER)
        if isinstance(beside[name], Area) and beside[name].low > 0.5 and beside[name].high >= area.value
    ]
    if not suspects or not area.low > 0.5:
        return ""
    return f"{' and '.join(suspects)} could explain this AUC by itself: it may say nothing of the disease"
