"""Experiments with controls: radiographs of other findings from the site of the positives.

A model that separates sites, not the disease, separates controls from the other classes and predicts them positive.
"""

from __future__ import annotations

import numpy as np

from detector.audit.comparison import Audit, Finding, compare, feature_set
from detector.audit.image_sets import CONTROLS
from detector.images.masks import LUNGS_ONLY
from detector.statistics.evaluation import predict
from detector.statistics.metric import Metric
from detector.statistics.proportions import proportion


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


def lungs_only(audit: Audit) -> Finding | None:
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
