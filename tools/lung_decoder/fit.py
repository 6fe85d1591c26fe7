"""Fit a decoder to radiographs with lung masks, and measure one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from detector.cli.output import progress
from detector.images.lungs import enlarged, refined
from detector.images.read import SIZE
from detector.network import lungs as lung_decoder
from detector.network.backbone import Weights, pooled_maps
from detector.network.features import BATCH
from tools.lung_decoder.augmentation import augmented
from tools.lung_decoder.masked_radiographs import MaskedRadiograph

EPOCHS, BATCH_FITTED = 12, 16
RATE = 2e-3


def maps_of(weights: Weights, pixels: np.ndarray, what: str) -> list[np.ndarray]:
    """Return the four maps of images, float16: half the memory, and a decoder does not see the difference."""
    maps = pooled_maps(weights)
    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)]
    forward = tf.function(lambda x: maps(x)[0], input_signature=signature, autograph=False)
    starts = range(0, len(pixels), BATCH)
    parts = [
        [found.numpy().astype(np.float16) for found in forward(pixels[i : i + BATCH].astype(np.float32) / 255)]
        for i in progress(starts, len(starts), what, unit="batch")
    ]
    return [np.concatenate(maps) for maps in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Prepared:
    """Radiographs and copies of them, through VGG16.

    Attributes
    ----------
    maps : list of ndarray
        As `maps_of` returns them, n images each.
    lungs : ndarray of shape (n, 224, 224, 1), float16
        Share of each pixel that is lung.
    owners : ndarray of shape (n,), int
        Which radiograph each image was made of.
    """

    maps: list[np.ndarray]
    lungs: np.ndarray
    owners: np.ndarray


def prepare(weights: Weights, radiographs: Sequence[MaskedRadiograph], seed: int) -> Prepared:
    """Make the copies of radiographs, and their maps."""
    pixels, lungs, owners = [], [], []
    for number, radiograph in enumerate(radiographs):
        for image, share in augmented(radiograph, number, seed):
            pixels.append(image)
            lungs.append(share.astype(np.float16)[..., None])
            owners.append(number)
    maps = maps_of(weights, np.stack(pixels), f"{len(pixels)} images through VGG16")
    return Prepared(maps, np.stack(lungs), np.array(owners))


def fit(prepared: Prepared, rows: Sequence[int], seed: int) -> lung_decoder.Arrays:
    """Fit a decoder: cross-entropy plus Dice, Adam with a rate that falls along a cosine.

    Parameters
    ----------
    prepared : Prepared
    rows : sequence of int
        Which of the radiographs to fit it to.
    seed : int

    Returns
    -------
    list of ndarray
        As `lung_decoder.read` returns them.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    variables = _fresh()
    decoder = lung_decoder.compiled(variables)
    images = np.flatnonzero(np.isin(prepared.owners, rows))
    steps = -(-len(images) // BATCH_FITTED)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps * EPOCHS))
    generator = np.random.default_rng(seed)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(maps: list[tf.Tensor], truth: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = decoder([tf.cast(one, tf.float32) for one in maps])
            loss = _loss(logits, tf.cast(truth, tf.float32))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    order = [batch for _ in range(EPOCHS) for batch in np.array_split(generator.permutation(images), steps)]
    for batch in progress(order, len(order), "fitting the decoder", unit="step"):
        step([one[batch] for one in prepared.maps], prepared.lungs[batch])
    return [variable.numpy() for variable in variables]


def _fresh() -> list[tf.Variable]:
    """Return kernels as Keras begins with them, and biases of 0."""
    glorot, found = keras.initializers.GlorotUniform(), []
    for _, shape in lung_decoder.shapes():
        found += [tf.Variable(glorot(shape)), tf.Variable(tf.zeros(shape[-1:]))]
    return found


def _loss(logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits))
    probability = tf.sigmoid(logits)
    overlap = tf.reduce_sum(probability * truth, (1, 2, 3))
    total = tf.reduce_sum(probability + truth, (1, 2, 3))
    # One more on both sides: an image without lungs, found to have none, is no loss.
    return entropy + 1 - tf.reduce_mean((2 * overlap + 1) / (total + 1))


def dice(weights: Weights, arrays: lung_decoder.Arrays, radiographs: Sequence[MaskedRadiograph]) -> np.ndarray:
    """Return the Dice coefficient of each radiograph at the size of its file: 2 |A ∩ B| / (|A| + |B|).

    Reference: L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26 (1945).
    """
    maps = maps_of(weights, np.stack([one.pixels for one in radiographs]), f"{len(radiographs)} test images")
    logits = lung_decoder.compiled(arrays)([one.astype(np.float32) for one in maps]).numpy()[..., 0]
    return np.array([overlap(found, one.mask) for found, one in zip(logits, radiographs, strict=True)])


def overlap(logits: np.ndarray, mask: np.ndarray) -> float:
    """Return the Dice coefficient of lungs as found, logits (224, 224), with a mask of any size."""
    found = enlarged(refined(logits > 0), *mask.shape)
    return 2 * float((found & mask).sum()) / max(float(found.sum() + mask.sum()), 1.0)
