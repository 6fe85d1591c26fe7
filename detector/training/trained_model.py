"""The model of a training run: its description, the Keras model, and its Grad-CAM on test images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from detector.datasets import clinical
from detector.network import model
from detector.network.description import Description
from detector.network.model_file import SavedModel
from detector.network.training_images import TrainingImages
from detector.training.evaluation_result import EvaluatedHead
from detector.training.extraction import FeatureExtractor
from detector.training.heat_maps import GradCamRequest, cached_heat_maps
from detector.training.recipes import Recipe

if TYPE_CHECKING:
    import keras


def describe(evaluated: EvaluatedHead, recipe: Recipe, extractor: FeatureExtractor) -> Description:
    """Return what the model's file says of it."""
    result = evaluated.evaluation
    columns, threshold = evaluated.fitted.columns, evaluated.threshold
    restricted = "lungs" if extractor.occlusion else "image"
    seen = (extractor.properties[row] for row in evaluated.train)
    images = TrainingImages.of((one.digest, one.hash) for one in seen)
    read = (recipe.name, recipe.pooling)
    return Description(
        result.classes, result.positive, *read, threshold, columns, input=restricted, training_images=images
    )


def saved_model(evaluated: EvaluatedHead, description: Description, extractor: FeatureExtractor) -> SavedModel:
    """Return base and trained head: what is saved, and what Grad-CAM is computed with."""
    return SavedModel(extractor.backbone.weights, evaluated.fitted.trained.weights, description, None)


def most_confident_errors_first(evaluated: EvaluatedHead) -> np.ndarray:
    """Return the order of test images: errors first, the most confident on top, then the others in reverse."""
    labels, predicted = evaluated.predictions.labels, evaluated.predicted[0]
    confidence = evaluated.probabilities[0][np.arange(len(predicted)), predicted]
    wrong = predicted != labels
    return np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))


def grad_cam(
    evaluated: EvaluatedHead,
    description: Description,
    extractor: FeatureExtractor,
    joined: Callable[[], keras.Model],
    positions: np.ndarray,
) -> list[np.ndarray]:
    """Return the Grad-CAM of test images for their predicted classes.

    Parameters
    ----------
    evaluated : EvaluatedHead
    description : Description
    extractor : FeatureExtractor
    joined : callable
        Returns what `saved_model` returns, as a Keras model; called only if a Grad-CAM has to be computed.
    positions : ndarray of int
        Among the test images.

    Returns
    -------
    list of ndarray of shape (14, 14), in [0, 1]
    """
    rows, predicted = evaluated.held_out[positions], evaluated.predicted[0][positions]
    extra = clinical.encode(evaluated.fitted.columns, [extractor.dataset.images[row].row for row in rows])
    head = evaluated.fitted.trained.weights

    def explaining() -> keras.Model:
        if description.input == "lungs":
            return model.join_masked(extractor.backbone.weights, head, description)
        return joined()

    return cached_heat_maps(extractor, head, GradCamRequest(rows, predicted, extra), explaining, extractor.log.quiet)
