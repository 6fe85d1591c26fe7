"""The tutorial's head, and its training on features; the predicted probabilities of any head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from detector.network.hyperparameters import Hyperparameters
from detector.network.keras_head import trainer_for

AfterEpoch = Callable[[int, dict[str, float]], object]  # called with the epoch, from 1, and its metrics
Arrays = list[np.ndarray]  # kernel and bias of each dense layer, from the features to the classes


@dataclass(frozen=True)
class TrainingSet:
    """What a head is fitted to.

    Attributes
    ----------
    features : ndarray of shape (n, copies, width), float32
    labels : ndarray of shape (n,), int
    classes : list of str
    groups : ndarray of shape (n,)
        Equal where the patient is the same.
    strata : ndarray of shape (n,), str
        Site and view; empty where the site is unknown.
    """

    features: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]
    groups: np.ndarray
    strata: np.ndarray


@dataclass(frozen=True)
class TrainedHead:
    """A trained head.

    Attributes
    ----------
    weights : list of ndarray
        Kernel and bias of each dense layer, float32. The tutorial's: (512, 64), (64,), (64, classes), (classes,).
    history : dict of str to list of float
        How it was trained. The tutorial's: ``loss``, ``accuracy`` and, where held-out images were given, ``val_loss``,
        ``val_accuracy``, by epoch. A probe's: ``strength``, ``loss``, ``cv_loss``, by regularisation strength.
    strength : float or None
        The regularisation strength that was chosen for a probe: scikit-learn's C.
    """

    weights: Arrays
    history: dict[str, list[float]] = field(default_factory=dict)
    strength: float | None = None


def class_weights(labels: np.ndarray, classes: int, balanced: bool) -> np.ndarray:
    """Return how much an image of each class counts, so that the classes count equally.

    Scikit-learn's ``class_weight="balanced"``: n / (classes · images of the class). Exactly 1 for equal classes.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    classes : int
    balanced : bool
        False lets every image count 1.

    Returns
    -------
    ndarray of shape (classes,), float32
    """
    counts = np.bincount(labels, minlength=classes)
    if not balanced:
        return np.ones(classes, np.float32)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def fit(
    data: TrainingSet,
    hyperparameters: Hyperparameters,
    seed: int,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    after_epoch: AfterEpoch = lambda epoch, metrics: None,
    balanced: bool = True,
) -> TrainedHead:
    """Train the tutorial's head.

    Each epoch takes every image once, in random order and in whole batches, as one of its augmented copies. The copies
    of an image follow each other in an order of their own, so that none comes twice before all have come once: with as
    many copies as epochs, every epoch sees a fresh one.

    Parameters
    ----------
    data : TrainingSet
    hyperparameters : Hyperparameters
    seed : int
        Of the initial weights, the order, the copies and the dropout.
    held_out : tuple of ndarray of shape (m, width) and ndarray of shape (m,), optional
        Features and labels that are evaluated after each epoch, and not trained on.
    after_epoch : callable
        Called with the epoch, from 1, and its metrics.
    balanced : bool, default=True
        Weigh the loss so that the classes count equally (`class_weights` of the training images).

    Returns
    -------
    TrainedHead
    """
    features, labels, classes = data.features, data.labels, len(data.classes)
    trainer = trainer_for(features.shape[-1], classes, hyperparameters.epochs, hyperparameters.learning_rate)
    # Streams of their own: the order of the images must not depend on how many numbers the weights took.
    streams = np.random.SeedSequence(seed).spawn(3)
    trainer.reset(streams[0], streams[1], class_weights(labels, classes, balanced))
    generator = np.random.default_rng(streams[2])
    n, copies = features.shape[:2]
    size = min(hyperparameters.batch_size, n)
    steps = n // size
    truth = np.eye(classes, dtype=np.float32)[labels]
    history: dict[str, list[float]] = {}
    order = np.empty((n, 0), int)
    for epoch in range(hyperparameters.epochs):
        if epoch % copies == 0:
            order = generator.permuted(np.tile(np.arange(copies), (n, 1)), axis=1)
        rows = generator.permutation(n)[: steps * size].reshape(steps, size)
        copy = order[:, epoch % copies]
        metrics = trainer.epoch(features[rows, copy[rows]], truth[rows])
        if held_out is not None:
            validated = trainer.evaluate(held_out[0], np.eye(classes, dtype=np.float32)[held_out[1]])
            metrics |= {f"val_{name}": value for name, value in validated.items()}
        for name, value in metrics.items():
            history.setdefault(name, []).append(value)
        after_epoch(epoch + 1, metrics)
    return TrainedHead(trainer.weights(), history)


def predict_proba(features: np.ndarray, weights: Arrays) -> np.ndarray:
    """Return the predicted probabilities of a trained head: relu between its dense layers, softmax after the last.

    Parameters
    ----------
    features : ndarray of shape (n, width), float32
    weights : list of ndarray
        Kernel and bias of each layer.

    Returns
    -------
    ndarray of shape (n, classes), float32
        Rows add up to 1.
    """
    *hidden, kernel, bias = weights
    for inner_kernel, inner_bias in zip(hidden[::2], hidden[1::2], strict=True):
        features = np.maximum(features @ inner_kernel + inner_bias, 0.0)
    logits = features @ kernel + bias
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
