"""The tutorial's head: its layers, its training on features, and the predicted probabilities of any head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from detector.network import runtime

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class Hyperparameters:
    """How the head is trained; the defaults are the tutorial's.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        At the start; after `step` steps it is learning_rate / (1 + learning_rate / epochs · step).
    """

    epochs: int = 25
    batch_size: int = 8
    learning_rate: float = 1e-3


HIDDEN = 64

DROPOUT = 0.5


def layers(classes: int) -> list[keras.Layer]:
    """Return the head's trainable part as Keras layers, the very ones of the saved model."""
    import keras

    return [
        keras.layers.Dense(HIDDEN, activation="relu", name="hidden"),
        keras.layers.Dropout(DROPOUT, seed=0, name="dropout"),
        keras.layers.Dense(classes, activation="softmax", name="probabilities"),
    ]


def loss_name(classes: int) -> str:
    """Return Keras' name of the loss: the tutorial's binary one for two classes, categorical beyond."""
    return "binary_crossentropy" if classes == 2 else "categorical_crossentropy"


class Trainer:
    """A head and its optimizer with one compiled call for an epoch, which serves every fold and repeat of a run."""

    def __init__(self, width: int, classes: int, epochs: int, learning_rate: float) -> None:
        runtime.ready()
        import keras
        import tensorflow as tf

        self._head = keras.Sequential([keras.Input((width,)), *layers(classes)])
        self._dropout = self._head.get_layer("dropout")
        # Keras dropped the tutorial's `decay`; this schedule is what it did.
        schedule = keras.optimizers.schedules.InverseTimeDecay(learning_rate, 1, learning_rate / epochs)
        optimizer = keras.optimizers.Adam(schedule)
        optimizer.build(self._head.trainable_variables)
        self._optimizer = optimizer
        self._class_weights = class_weights = tf.Variable(tf.ones(classes), trainable=False)
        head, loss_of = self._head, keras.losses.get(loss_name(classes))

        def weighted_loss(truth: tf.Tensor, said: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(loss_of(truth, said) * tf.linalg.matvec(truth, class_weights))

        def hits(truth: tf.Tensor, said: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.equal(tf.argmax(truth, 1), tf.argmax(said, 1)), tf.float32)

        batches = tf.TensorSpec((None, None, width)), tf.TensorSpec((None, None, classes))

        # Without AutoGraph: it writes the code that it makes to temporary files, which stay behind.
        @tf.function(input_signature=batches, autograph=False)
        def run_epoch(features: tf.Tensor, truths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            steps = tf.shape(features)[0]

            def run_step(step: tf.Tensor, loss: tf.Tensor, accuracy: tf.Tensor) -> tuple[tf.Tensor, ...]:
                with tf.GradientTape() as tape:
                    said = head(features[step], training=True)
                    batch_loss = weighted_loss(truths[step], said)
                variables = head.trainable_variables
                optimizer.apply(tape.gradient(batch_loss, variables), variables)
                return step + 1, loss + batch_loss, accuracy + tf.reduce_mean(hits(truths[step], said))

            start = tf.zeros((), tf.int32), tf.zeros(()), tf.zeros(())
            _, loss, accuracy = tf.while_loop(lambda step, *_: step < steps, run_step, start)
            return loss / tf.cast(steps, tf.float32), accuracy / tf.cast(steps, tf.float32)

        @tf.function(input_signature=(tf.TensorSpec((None, width)), tf.TensorSpec((None, classes))), autograph=False)
        def run_evaluation(features: tf.Tensor, truth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            said = head(features, training=False)
            return weighted_loss(truth, said), tf.reduce_mean(hits(truth, said))

        self._run_epoch, self._run_evaluation = run_epoch, run_evaluation

    def reset(
        self, for_weights: np.random.SeedSequence, for_dropout: np.random.SeedSequence, class_weights: np.ndarray
    ) -> None:
        """Begin anew: fresh weights, dropout and optimizer."""
        import keras

        self._class_weights.assign(class_weights)
        kernels = for_weights.generate_state(2) % 2**31
        hidden, hidden_bias, output, output_bias = self._head.trainable_variables
        for variable, kernel in zip((hidden, output), kernels, strict=True):
            variable.assign(keras.initializers.GlorotUniform(seed=int(kernel))(variable.shape))
        for variable in (hidden_bias, output_bias, *self._optimizer.variables):
            variable.assign(keras.ops.zeros_like(variable))
        state = self._dropout.seed_generator.state
        state.assign(keras.ops.cast([int(for_dropout.generate_state(1)[0] % 2**31), 0], state.dtype))

    def epoch(self, features: np.ndarray, truths: np.ndarray) -> dict[str, float]:
        """Train for an epoch; return its loss and accuracy."""
        loss, accuracy = self._run_epoch(features, truths)
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def evaluate(self, features: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """Return loss and accuracy without training."""
        loss, accuracy = self._run_evaluation(features, truth)
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def weights(self) -> list[np.ndarray]:
        """Return kernel and bias of each dense layer."""
        return [variable.numpy() for variable in self._head.trainable_variables]


@lru_cache(maxsize=4)
def trainer_for(width: int, classes: int, epochs: int, learning_rate: float) -> Trainer:
    """Return a trainer; the same one for the same sizes, since it takes a second to compile."""
    return Trainer(width, classes, epochs, learning_rate)


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
    adjusted : bool
        Whether a probe was fitted within strata.
    """

    weights: Arrays
    history: dict[str, list[float]] = field(default_factory=dict)
    strength: float | None = None
    adjusted: bool = False


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
