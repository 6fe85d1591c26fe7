"""Grad-CAM of held-out images: of the head of the fold that did not train on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from detector.audit.comparison import Audit
from detector.cli.output import progress
from detector.network.head import Arrays
from detector.training.run import GradCamRequest, cached_heat_maps

if TYPE_CHECKING:
    import keras


def fold_heat_maps(audit: Audit, positions: np.ndarray) -> list[np.ndarray]:
    """Return Grad-CAM for the positive class, of the head of the fold that held each image out in the first repeat.

    Parameters
    ----------
    audit : Audit
    positions : ndarray of shape (n,), int
        Among the data set's images.

    Returns
    -------
    list of ndarray of shape (14, 14), in [0, 1]
    """
    found: dict[int, np.ndarray] = {}
    folds = audit.validated.predictions.folds[0][positions]
    present = np.unique(folds)
    for fold in progress(present, len(present), "Grad-CAM", audit.extractor.log.quiet, "fold"):
        inside = positions[folds == fold]
        head = audit.validated.heads[fold].trained.weights
        explained = GradCamRequest(audit.sets.own[inside], np.zeros(len(inside), int), np.zeros((len(inside), 0)))
        maps = cached_heat_maps(audit.extractor, head, explained, _model_of(audit, head), quiet=True)
        found |= dict(zip(inside.tolist(), maps, strict=True))
    return [found[position] for position in positions.tolist()]


def _model_of(audit: Audit, head: Arrays) -> Callable[[], keras.Model]:
    """Return a function that builds the Keras model of a head; where all maps are cached it is not called."""
    from detector.network.model_file import Description, join

    recipe, positive = audit.settings.recipe, audit.settings.positive
    description = Description([positive, "others"], positive, recipe.name, recipe.pooling)
    return lambda: join(audit.extractor.backbone.weights, head, description)
