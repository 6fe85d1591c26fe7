"""Fit the lung decoder to masked radiographs, or measure how well one fitted in the same way finds lungs."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
import tensorflow as tf

from detector.cli.output import progress
from detector.files.atomic import write_together
from detector.files.cache import default_folder
from detector.images.lungs import enlarged, refined
from detector.images.read import SIZE, decode, file_bytes, from_decoded
from detector.network import runtime
from detector.network.backbone import DECODER_FILE, DECODER_LAYERS, Weights, as_bytes
from detector.network.features import BATCH
from detector.network.forward import lung_logits, pooled_maps
from detector.network.weights import load
from tools.lung_decoder.augmentation import augmented

SEED, FOLDS = 42, 3
EPOCHS, BATCH_FITTED = 12, 16
RATE = 2e-3


class MaskedRadiograph(NamedTuple):
    """A radiograph, (224, 224, 3), uint8, with its lung mask, bool, as large as the image's file."""

    name: str
    patient: str
    pixels: np.ndarray
    mask: np.ndarray


def read(folder: Path, row: dict[str, str]) -> MaskedRadiograph:
    """Read a radiograph that the list names by file, mask and patient, from `images` and `masks`."""
    paths = folder / "images" / row["file"], folder / "masks" / row["mask"]
    image, mask = (decode(file_bytes(path), path) for path in paths)
    grey = mask.pixels if mask.pixels.ndim == 2 else mask.pixels.max(axis=2)
    height, width = image.pixels.shape[:2]
    marked = cv2.resize((grey > 127).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return MaskedRadiograph(row["file"], row["patient"], from_decoded(image, "").pixels, marked)


def maps_of(weights: Weights, pixels: Sequence[np.ndarray], what: str) -> list[np.ndarray]:
    """Return the four maps of images, float16: half the memory, and a decoder does not see the difference."""
    maps, images = pooled_maps(weights), np.stack(pixels)
    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)]
    forward = tf.function(lambda x: maps(x)[0], input_signature=signature, autograph=False)
    starts = range(0, len(images), BATCH)
    parts = [
        [found.numpy().astype(np.float16) for found in forward(images[i : i + BATCH].astype(np.float32) / 255)]
        for i in progress(starts, len(starts), what, unit="batch")
    ]
    return [np.concatenate(maps) for maps in zip(*parts, strict=True)]


# Radiographs and copies of them: maps, shares of lung (n, 224, 224, 1), float16, and whose copy each is.
Prepared = tuple[list[np.ndarray], np.ndarray, np.ndarray]


def prepare(weights: Weights, radiographs: Sequence[MaskedRadiograph], seed: int) -> Prepared:
    """Make the copies of radiographs, and their maps."""
    pixels, lungs, owners = [], [], []
    for number, one in enumerate(radiographs):
        inside = cv2.resize(one.mask.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        for image, share in augmented(one.pixels, inside, number, seed):
            pixels.append(image)
            lungs.append(share.astype(np.float16)[..., None])
            owners.append(number)
    maps = maps_of(weights, pixels, f"{len(pixels)} images through VGG16")
    return maps, np.stack(lungs), np.array(owners)


def loss(logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Return cross-entropy plus Dice."""
    entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits))
    probability = tf.sigmoid(logits)
    overlap = tf.reduce_sum(probability * truth, (1, 2, 3))
    total = tf.reduce_sum(probability + truth, (1, 2, 3))
    # One more on both sides: an image without lungs, found to have none, is no loss.
    return entropy + 1 - tf.reduce_mean((2 * overlap + 1) / (total + 1))


def fit(prepared: Prepared, rows: Sequence[int], seed: int) -> Weights:
    """Fit a decoder to some of the radiographs: Adam with a rate that falls along a cosine."""
    maps, truth, owners = prepared
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    glorot = keras.initializers.GlorotUniform()
    layers = {
        name: (tf.Variable(glorot(shape)), tf.Variable(tf.zeros(shape[-1:]))) for name, shape in DECODER_LAYERS.items()
    }
    variables, decoder = [variable for pair in layers.values() for variable in pair], lung_logits(layers)
    images = np.flatnonzero(np.isin(owners, rows))
    steps = -(-len(images) // BATCH_FITTED)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps * EPOCHS))
    generator = np.random.default_rng(seed)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(maps: list[tf.Tensor], truth: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            found = loss(decoder([tf.cast(one, tf.float32) for one in maps]), tf.cast(truth, tf.float32))
        optimizer.apply_gradients(zip(tape.gradient(found, variables), variables, strict=True))
        return found

    order = [batch for _ in range(EPOCHS) for batch in np.array_split(generator.permutation(images), steps)]
    for batch in progress(order, len(order), "fitting the decoder", unit="step"):
        step([one[batch] for one in maps], truth[batch])
    return {name: (kernel.numpy(), bias.numpy()) for name, (kernel, bias) in layers.items()}


def dice(weights: Weights, arrays: Weights, radiographs: Sequence[MaskedRadiograph]) -> list[float]:
    """Return the Dice coefficient of each radiograph at the size of its file: 2 |A ∩ B| / (|A| + |B|).

    Reference: L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26 (1945).
    """
    maps = maps_of(weights, [one.pixels for one in radiographs], f"{len(radiographs)} test images")
    logits = lung_logits(arrays)([one.astype(np.float32) for one in maps]).numpy()[..., 0]
    coefficients = []
    for one, lungs in zip(radiographs, logits, strict=True):
        found = enlarged(refined(lungs > 0), *one.mask.shape)
        coefficients.append(2 * float((found & one.mask).sum()) / max(float(found.sum() + one.mask.sum()), 1.0))
    return coefficients


def measure(weights: Weights, radiographs: Sequence[MaskedRadiograph]) -> None:
    """Print the Dice coefficient of radiographs of patients that the decoder was not fitted to."""
    from sklearn.model_selection import GroupKFold

    prepared = prepare(weights, radiographs, SEED)
    patients = [one.patient for one in radiographs]
    found = np.zeros(len(radiographs))
    for train, held_out in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(radiographs, groups=patients):
        found[held_out] = dice(weights, fit(prepared, train, SEED), [radiographs[row] for row in held_out])
    print(f"Dice of {len(found)} radiographs, {FOLDS} folds, patients apart: mean {found.mean():.3f}", end=", ")
    print(f"median {np.median(found):.3f}, tenth percentile {np.percentile(found, 10):.3f}")
    print("worst:", ", ".join(f"{radiographs[row].name} {found[row]:.2f}" for row in np.argsort(found)[:8]))


def main() -> None:
    """Fit a decoder to all radiographs and put it where the program reads it, or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True, help="a folder with images, masks and list.csv")
    parser.add_argument("--measure", action="store_true", help="cross-validate by patient, and write nothing")
    options = parser.parse_args()
    with (options.masks / "list.csv").open(newline="", encoding="utf-8") as lines:
        radiographs = [read(options.masks, row) for row in csv.DictReader(lines)]
    print(f"{len(radiographs)} radiographs of {len({one.patient for one in radiographs})} patients")
    runtime.ready()
    weights = load(None, default_folder())
    if options.measure:
        measure(weights, radiographs)
        return
    arrays = fit(prepare(weights, radiographs, SEED), range(len(radiographs)), SEED)
    data = io.BytesIO()
    np.save(data, np.frombuffer(as_bytes(arrays), "<f4"))
    write_together({DECODER_FILE: data.getvalue()})
    print(f"wrote {DECODER_FILE}: put this into DECODER_DIGEST of detector/network/backbone.py, if it is another:")
    print(hashlib.sha256(data.getvalue()).hexdigest())


if __name__ == "__main__":
    main()
