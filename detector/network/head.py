"""The tutorial's head: its layers, its training on features, and the predicted probabilities of any head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.datasets import clinical
from detector.network import runtime

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

HIDDEN = 64
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")

AfterEpoch = Callable[[int, dict[str, float]], object]  # called with the epoch, from 1, and its metrics
Validation = tuple[np.ndarray, np.ndarray]  # features (m, width) and labels (m,) of held-out images
Arrays = list[np.ndarray]  # kernel and bias of each dense layer, from the features to the classes


@dataclass(frozen=True)
class TrainingSet:
    """What a head is fitted to.

    Attributes
    ----------
    features : ndarray of shape (n, copies, width), float32
    labels : ndarray of shape (n,), int
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
    columns : list of dict
        How the clinical values that it takes are encoded; empty where it takes none.
    """

    weights: Arrays
    history: dict[str, list[float]] = field(default_factory=dict)
    strength: float | None = None
    adjusted: bool = False
    columns: list[clinical.Column] = field(default_factory=list)

    def predict_proba(self, features: np.ndarray, table: Sequence[Mapping[str, str]] = ()) -> np.ndarray:
        """Return predicted probabilities: relu between the dense layers, softmax after the last.

        Parameters
        ----------
        features : ndarray of shape (n, width), float32
        table : sequence of mapping
            The manifest's rows of the same images; read where the head takes clinical values.

        Returns
        -------
        ndarray of shape (n, classes), float32
            Rows add up to 1.
        """
        *hidden, kernel, bias = self.weights
        x = joined(features, self.columns, table)
        for inner_kernel, inner_bias in zip(hidden[::2], hidden[1::2], strict=True):
            x = np.maximum(x @ inner_kernel + inner_bias, 0.0)
        logits = x @ kernel + bias
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)


def joined(features: np.ndarray, columns: list[clinical.Column], table: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Return features of images, (n, width) or (n, copies, width), beside their encoded clinical values.

    Where there are none, the features themselves: a copy could be gigabytes.
    """
    if not columns:
        return features
    extra = clinical.encode(columns, table)
    if features.ndim == 3:
        extra = np.repeat(extra[:, None], features.shape[1], axis=1)
    return np.concatenate([features, extra], axis=-1)


def class_weights(labels: np.ndarray, classes: int, balanced: bool) -> np.ndarray:
    """Return how much an image of each class counts, so that the classes count equally, (classes,), float32.

    Scikit-learn's ``class_weight="balanced"``: n / (classes · images of the class). Exactly 1 for equal classes, and
    where `balanced` is False.
    """
    counts = np.bincount(labels, minlength=classes)
    if not balanced:
        return np.ones(classes, np.float32)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


@dataclass(frozen=True)
class TutorialRecipe:
    """A small network on VGG16's last map, trained for some epochs on rotated copies; `batch_size` is the tutorial's.

    Attributes
    ----------
    pooling : {"tutorial", "global", "lungs"}
    balanced : bool
        Weigh the loss so that the classes count equally (`class_weights` of the training images).
    rotations : int
        Copies of each image; 0 for the image as it is. One is as good as more: 80 v 80 images of NIH's, five seeds of
        5 folds × 2, ROC AUC 0.830 with one, 0.828 with two, 0.832 with none.
    learning_rate : float
        At the start; after `step` steps it is learning_rate / (1 + learning_rate / epochs · step).
    """

    pooling: str = "tutorial"
    balanced: bool = True
    rotations: int = 1
    epochs: int = 25
    batch_size: int = 8
    learning_rate: float = 1e-3
    name = "tutorial"

    def fit(self, data: TrainingSet, seed: int, held_out: Validation | None, after_epoch: AfterEpoch) -> TrainedHead:
        """Train the head; groups and strata are not used.

        Each epoch takes every image once, in random order and in whole batches, as one of its augmented copies. The
        copies of an image follow each other in an order of their own, so that none comes twice before all have come
        once: with as many copies as epochs, every epoch sees a fresh one.

        The seed is of the initial weights, the order, the copies and the dropout. Held-out images are evaluated after
        each epoch, and not trained on.
        """
        runtime.ready()
        import keras

        width, classes, n = data.features.shape[-1], len(data.classes), len(data.labels)
        size = min(self.batch_size, n)
        steps = n // size
        sizes = width, classes, self.epochs, self.learning_rate, steps
        if sizes not in _compiled:
            model = keras.Sequential(
                [
                    keras.Input((width,)),
                    keras.layers.Dense(HIDDEN, activation="relu"),
                    keras.layers.Dropout(0.5, seed=0),
                    keras.layers.Dense(classes, activation="softmax"),
                ]
            )
            # Keras dropped the tutorial's `decay`; this schedule is what it did.
            decay = self.learning_rate / self.epochs
            model.compile(
                loss="binary_crossentropy" if classes == 2 else "categorical_crossentropy",
                optimizer=keras.optimizers.Adam(
                    keras.optimizers.schedules.InverseTimeDecay(self.learning_rate, 1, decay)
                ),
                metrics=["accuracy"],
                steps_per_execution=steps,
                jit_compile=False,
            )
            model.optimizer.build(model.trainable_variables)
            _compiled[sizes] = model
        model = _compiled[sizes]
        # Streams of their own: the order of the images must not depend on how many numbers the weights took.
        for_weights, for_dropout, for_order = np.random.SeedSequence(seed).spawn(3)
        _begin_anew(model, for_weights, for_dropout)

        truth = np.eye(classes, dtype=np.float32)
        weights = class_weights(data.labels, classes, self.balanced)
        validation = (held_out[0], truth[held_out[1]], weights[held_out[1]]) if held_out else None
        trained = model.fit(
            _batches(data, truth[data.labels], weights[data.labels], (self.epochs, steps, size), for_order),
            epochs=self.epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            validation_batch_size=len(validation[0]) if validation else None,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after_epoch(epoch + 1, _named(logs)))
            ],
            verbose=0,
        )
        return TrainedHead(model.get_weights(), _named(trained.history))


_compiled: dict[tuple[float, ...], keras.Model] = {}  # by sizes: to trace a model takes seconds


def _named(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Keras has measured, in the tutorial's order."""
    return {name: metrics[name] for name in METRICS if name in metrics}


def _begin_anew(model: keras.Model, for_weights: np.random.SeedSequence, for_dropout: np.random.SeedSequence) -> None:
    """Give a compiled model fresh weights, dropout and optimizer."""
    import keras

    for variable in (*model.trainable_variables, *model.optimizer.variables):
        variable.assign(keras.ops.zeros_like(variable))
    dense = [layer for layer in model.layers if layer.weights]
    for layer, number in zip(dense, for_weights.generate_state(2) % 2**31, strict=True):
        layer.kernel.assign(keras.initializers.GlorotUniform(seed=int(number))(layer.kernel.shape))
    state = model.layers[1].seed_generator.state
    state.assign(keras.ops.cast([int(for_dropout.generate_state(1)[0] % 2**31), 0], state.dtype))


def _batches(
    data: TrainingSet,
    truth: np.ndarray,
    weights: np.ndarray,
    sizes: tuple[int, int, int],
    for_order: np.random.SeedSequence,
) -> tf.data.Dataset:
    """Return batches of features, truth and weights, of so many epochs, steps and images a step."""
    import tensorflow as tf

    (epochs, steps, size), (n, copies, _) = sizes, data.features.shape
    chance, places = np.random.default_rng(for_order), np.empty((epochs, steps * size, 2), int)
    for epoch in range(epochs):
        if epoch % copies == 0:
            turns = chance.permuted(np.tile(np.arange(copies), (n, 1)), axis=1)
        rows = chance.permutation(n)[: steps * size]
        places[epoch] = np.stack([rows, turns[rows, epoch % copies]], axis=1)
    arrays = [tf.constant(data.features), tf.constant(truth), tf.constant(weights)]

    # Without AutoGraph: it writes the code that it makes to temporary files, which stay behind.
    @tf.autograph.experimental.do_not_convert
    def batch(places: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.gather_nd(arrays[0], places), *(tf.gather(array, places[:, 0]) for array in arrays[1:])

    return tf.data.Dataset.from_tensor_slices(places.reshape(epochs * steps, size, 2)).map(batch)
