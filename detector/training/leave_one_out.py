"""Hold out each site in turn and test there (internal-external validation).

Reference: T. P. A. Debray et al., "A new framework to enhance the interpretation of external validation studies of
clinical prediction models", Journal of Clinical Epidemiology 68 (2015); TRIPOD+AI, item 12d.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.datasets.dataset import Dataset
from detector.statistics.evaluation import Predictions, evaluate, predict
from detector.statistics.metric import Metric
from detector.statistics.strata import comparable
from detector.training.crossvalidation import inner_threshold
from detector.training.evaluation_result import TrainingProtocol
from detector.training.feature_set import FeatureSet
from detector.training.recipes import ProbeRecipe


@dataclass(frozen=True)
class LeftOutSite:
    """Metrics of a detector on a site that it was not trained on."""

    site: str
    roc_auc: Metric
    sensitivity: Metric
    specificity: Metric


def sites_of_both_classes(images: Dataset, positive: int) -> list[str]:
    """Return the sites that hold images of the positive class and of another.

    Raises
    ------
    InputError
        If there is none, or if without one of them a class is gone.
    """
    name = images.classes[positive]
    labels: dict[str, set[str]] = {}
    for image in images.images:
        labels.setdefault(image.site, set()).add(image.label)
    both = sorted(site for site, found in labels.items() if site and name in found and len(found) > 1)
    if not both:
        raise InputError(
            f"--leave-one-site-out: no site holds both {name} and another class; add controls of the same site"
        )
    for held_out in both:
        left = {label for site, found in labels.items() if site != held_out for label in found}
        if gone := sorted(set(images.classes) - left):
            raise InputError(
                f"--leave-one-site-out: without {held_out} no {', '.join(gone)} is left to train on; add images of "
                "another site"
            )
    return both


def evaluate_left_out(
    samples: FeatureSet, sites: np.ndarray, site: str, protocol: TrainingProtocol, adjust: str
) -> LeftOutSite:
    """Train on all other sites, and test on this one; its patients' images elsewhere are not trained on.

    Parameters
    ----------
    samples : FeatureSet
    sites : ndarray of shape (n,), str
    site : str
    protocol : TrainingProtocol
    adjust : {"auto", "strata", "none"}
        With ``"auto"``, a probe is fitted within strata where those that are left allow it.

    Returns
    -------
    LeftOutSite

    Raises
    ------
    InputError
        If one class is left to train on.
    """
    held_out = np.flatnonzero(sites == site)
    train = np.flatnonzero((sites != site) & ~np.isin(samples.groups, samples.groups[held_out]))
    classes = len(samples.classes)
    if len(set(samples.labels[train])) < classes:
        raise InputError(
            f"--leave-one-site-out: without the patients of {site} one class is left to train on; add images of "
            "another site"
        )
    recipe = protocol.recipe
    if isinstance(recipe, ProbeRecipe) and adjust == "auto":
        recipe = replace(recipe, adjusted=comparable(samples.labels[train], samples.strata[train], classes))
    threshold = protocol.point.threshold
    if protocol.point.sensitivity is not None:
        inside = samples.subset(train)
        threshold = inner_threshold(inside, protocol.positive, protocol.point.sensitivity, recipe, protocol.seed)
    fitted = samples.fit(train, recipe, protocol.seed)
    probabilities = samples.predict_proba(fitted, held_out)
    predictions = Predictions.of_one_model(
        samples.labels[held_out],
        samples.groups[held_out],
        probabilities,
        predict(probabilities, protocol.positive, threshold),
    )
    result = evaluate(predictions, samples.classes, protocol.positive)
    return LeftOutSite(site, result.roc_auc, result.sensitivity, result.specificity)
