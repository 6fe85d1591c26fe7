"""The trainable head, and its training on features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from detector import runtime

HIDDEN = 64
DROPOUT = 0.5

Arrays = list[np.ndarray]  # kernel and bias of the hidden layer, kernel and bias of the output


@dataclass(frozen=True)
class Recipe:
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


@dataclass
class Training:
    """A trained head.

    Attributes
    ----------
    weights : list of ndarray
        Hidden kernel (512, 64), hidden bias, output kernel (64, classes), output bias; float32.
    history : dict of str to list of float
        ``loss``, ``accuracy`` and, where held-out images were given, ``val_loss``, ``val_accuracy``, by epoch.
    """

    weights: Arrays
    history: dict[str, list[float]] = field(default_factory=dict)


def layers(classes: int) -> list:
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


def train(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    recipe: Recipe,
    seed: int,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    after_epoch: Callable[[int, dict[str, float]], object] = lambda epoch, figures: None,
) -> Training:
    """Train a head.

    Each epoch takes every image once, in random order and in whole batches, as one of its copies. The copies of an
    image follow each other in an order of their own, so that none comes twice before all have come once: with as many
    copies as epochs, every epoch sees a fresh one.

    Parameters
    ----------
    features : ndarray of shape (n, copies, width), float32
    labels : ndarray of shape (n,), int
    classes : int
    recipe : Recipe
    seed : int
        Of the initial weights, the order, the copies and the dropout.
    held_out : tuple of ndarray of shape (m, width) and ndarray of shape (m,), optional
        Features and labels that are judged after each epoch, and never learnt from.
    after_epoch : callable
        Called with the epoch, from 1, and its figures.

    Returns
    -------
    Training
    """
    trainer = _trainer(features.shape[-1], classes, recipe.epochs, recipe.learning_rate)
    # Streams of their own: the order of the images must not hang on how many numbers the weights took.
    streams = np.random.SeedSequence(seed).spawn(3)
    trainer.reset(streams[0], streams[1])
    generator = np.random.default_rng(streams[2])
    n, copies = features.shape[:2]
    size = min(recipe.batch_size, n)
    steps = n // size
    truth = np.eye(classes, dtype=np.float32)[labels]
    history: dict[str, list[float]] = {}
    order = np.empty((n, 0), int)
    for epoch in range(recipe.epochs):
        if epoch % copies == 0:
            order = generator.permuted(np.tile(np.arange(copies), (n, 1)), axis=1)
        rows = generator.permutation(n)[: steps * size].reshape(steps, size)
        copy = order[:, epoch % copies]
        figures = trainer.epoch(features[rows, copy[rows]], truth[rows])
        if held_out is not None:
            judged = trainer.judge(held_out[0], np.eye(classes, dtype=np.float32)[held_out[1]])
            figures |= {f"val_{name}": value for name, value in judged.items()}
        for name, value in figures.items():
            history.setdefault(name, []).append(value)
        after_epoch(epoch + 1, figures)
    return Training(trainer.weights(), history)


def probabilities(features: np.ndarray, weights: Arrays) -> np.ndarray:
    """Return what a trained head says of features.

    Parameters
    ----------
    features : ndarray of shape (n, width), float32
    weights : list of ndarray

    Returns
    -------
    ndarray of shape (n, classes), float32
        Rows add up to 1.
    """
    hidden_kernel, hidden_bias, kernel, bias = weights
    logits = np.maximum(features @ hidden_kernel + hidden_bias, 0.0) @ kernel + bias
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


class _Trainer:
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
        head, loss_of = self._head, keras.losses.get(loss_name(classes))

        def hits(truth, said):  # noqa: ANN001, ANN202
            return tf.cast(tf.equal(tf.argmax(truth, 1), tf.argmax(said, 1)), tf.float32)

        batches = tf.TensorSpec((None, None, width)), tf.TensorSpec((None, None, classes))

        # Without AutoGraph: it writes the code that it makes to temporary files, which stay behind.
        @tf.function(input_signature=batches, autograph=False)
        def run_epoch(features, truths):  # noqa: ANN001, ANN202
            steps = tf.shape(features)[0]

            def run_step(step, loss, accuracy):  # noqa: ANN001, ANN202
                with tf.GradientTape() as tape:
                    said = head(features[step], training=True)
                    batch_loss = tf.reduce_mean(loss_of(truths[step], said))
                variables = head.trainable_variables
                optimizer.apply(tape.gradient(batch_loss, variables), variables)
                return step + 1, loss + batch_loss, accuracy + tf.reduce_mean(hits(truths[step], said))

            start = tf.zeros((), tf.int32), tf.zeros(()), tf.zeros(())
            _, loss, accuracy = tf.while_loop(lambda step, *_: step < steps, run_step, start)
            return loss / tf.cast(steps, tf.float32), accuracy / tf.cast(steps, tf.float32)

        @tf.function(input_signature=(tf.TensorSpec((None, width)), tf.TensorSpec((None, classes))), autograph=False)
        def run_judge(features, truth):  # noqa: ANN001, ANN202
            said = head(features, training=False)
            return tf.reduce_mean(loss_of(truth, said)), tf.reduce_mean(hits(truth, said))

        self._run_epoch, self._run_judge = run_epoch, run_judge

    def reset(self, for_weights: np.random.SeedSequence, for_dropout: np.random.SeedSequence) -> None:
        """Begin anew: fresh weights, dropout and optimizer."""
        import keras

        kernels = for_weights.generate_state(2) % 2**31
        hidden, hidden_bias, output, output_bias = self._head.trainable_variables
        for variable, kernel in zip((hidden, output), kernels, strict=True):
            variable.assign(keras.initializers.GlorotUniform(seed=int(kernel))(variable.shape))
        for variable in (hidden_bias, output_bias, *self._optimizer.variables):
            variable.assign(keras.ops.zeros_like(variable))
        state = self._dropout.seed_generator.state
        state.assign(keras.ops.cast([int(for_dropout.generate_state(1)[0] % 2**31), 0], state.dtype))

    def epoch(self, features: np.ndarray, truths: np.ndarray) -> dict[str, float]:
        loss, accuracy = self._run_epoch(features, truths)
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def judge(self, features: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        loss, accuracy = self._run_judge(features, truth)
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def weights(self) -> Arrays:
        return [variable.numpy() for variable in self._head.trainable_variables]


@lru_cache(maxsize=4)
def _trainer(width: int, classes: int, epochs: int, learning_rate: float) -> _Trainer:
    return _Trainer(width, classes, epochs, learning_rate)
