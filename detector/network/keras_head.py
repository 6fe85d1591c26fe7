"""The tutorial's head in Keras: its layers, and one compiled call that trains an epoch of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from detector.network import runtime

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

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
