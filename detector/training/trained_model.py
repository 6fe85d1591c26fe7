"""The model of a training run: its description, the Keras model, and its Grad-CAM on test images."""

from __future__ import annotations

import hashlib

import numpy as np

from detector.command_line.printing import progress
from detector.datasets import clinical
from detector.datasets.dataset import Rows
from detector.network import model
from detector.network.backbone import BATCH
from detector.network.description import Description
from detector.network.gradcam import CELLS, heat_maps
from detector.network.training_images import TrainingImages
from detector.storage.cache import key
from detector.training.evaluation_result import Outcome
from detector.training.extraction import FeatureExtractor
from detector.training.recipes import Recipe


def describe(outcome: Outcome, recipe: Recipe, extractor: FeatureExtractor) -> Description:
    """Return what the model's file says of it."""
    result = outcome.evaluation
    columns, threshold = outcome.fitted.columns, outcome.threshold
    restricted = "lungs" if extractor.occlusion else "image"
    seen = (extractor.properties[row] for row in outcome.train)
    images = TrainingImages.of((one.digest, one.hash) for one in seen)
    read = (recipe.name, recipe.pooling)
    return Description(
        result.classes, result.positive, *read, threshold, columns, input=restricted, training_images=images
    )


def keras_model(outcome: Outcome, description: Description, extractor: FeatureExtractor) -> object:
    """Return the Keras model, base and trained head: what is saved, and what Grad-CAM is computed with."""
    return model.join(extractor.backbone.weights, outcome.fitted.trained.weights, description)


def most_confident_errors_first(outcome: Outcome) -> np.ndarray:
    """Return the order of test images: errors first, the most confident on top, then the others in reverse."""
    labels, predicted = outcome.predictions.labels, outcome.predicted[0]
    confidence = outcome.probabilities[0][np.arange(len(predicted)), predicted]
    wrong = predicted != labels
    return np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))


def grad_cam(
    outcome: Outcome, description: Description, extractor: FeatureExtractor, joined: object, positions: np.ndarray
) -> list[np.ndarray]:
    """Return the Grad-CAM of test images for their predicted classes; cached, since a second run needs them again.

    Parameters
    ----------
    outcome : Outcome
    description : Description
    extractor : FeatureExtractor
    joined : keras.Model
        As `keras_model` returns it.
    positions : ndarray of int
        Among the test images.

    Returns
    -------
    list of ndarray of shape (14, 14), in [0, 1]
    """
    rows, predicted = outcome.held_out[positions], outcome.predicted[0][positions]
    extra = clinical.encode(outcome.fitted.columns, [extractor.dataset.images[row].row for row in rows])
    names = _names(outcome, extractor, rows, predicted, extra)
    cache = extractor.backbone.cache
    held = {
        name: np.frombuffer(data, "<f4").reshape(CELLS, CELLS)
        for name, data in cache.get(names).items()
        if len(data) == 4 * CELLS**2
    }
    missing = np.array([i for i, name in enumerate(names) if name not in held], int)
    if len(missing):
        if description.input == "lungs":
            joined = model.join_masked(extractor.backbone.weights, outcome.fitted.trained.weights, description)
        maps = heat_maps(joined)
        starts = range(0, len(missing), BATCH)
        for start in progress(starts, len(starts), "Grad-CAM", extractor.log.quiet, "batch"):
            batch = missing[start : start + BATCH]
            pixels = np.stack([extractor.pixels(row, extractor.occlusion) for row in rows[batch]])
            inputs = pixels.astype(np.float32) / 255
            found = maps([inputs, extra[batch]] if extra.shape[1] else inputs, predicted[batch])
            done = {names[i]: one.astype("<f4") for i, one in zip(batch, found, strict=True)}
            cache.put({name: one.tobytes() for name, one in done.items()})
            held |= done
    return [held[name] for name in names]


def _names(
    outcome: Outcome,
    extractor: FeatureExtractor,
    rows: Rows,
    predicted: np.ndarray,
    extra: np.ndarray,
) -> list[bytes]:
    """Return the names under which Grad-CAMs are cached: everything that they depend on."""
    head = hashlib.sha256(b"".join(array.tobytes() for array in outcome.fitted.trained.weights)).hexdigest()
    part = extractor.occlusion.part if extractor.occlusion else ""
    return [
        key(
            kind="grad-cam",
            image=extractor.properties[row].digest,
            head=head,
            columns=(extractor.columns.start, extractor.columns.stop),
            predicted=int(label),
            part=part,
            clinical=beside.tolist(),
        )
        for row, label, beside in zip(rows, predicted, extra, strict=True)
    ]
