"""The tutorial's loop on Keras 3, to measure against: every image through the whole frozen network, every epoch.

Written anew after the description of A. Rosebrock's recipe (2020); what its API calls have become since is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from imutils import paths
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import train_test_split

from detector.files.cache import default_folder
from detector.network.weights import load

EPOCHS, BATCH, LEARNING_RATE = 25, 8, 1e-3


def read_images(folder: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return pixels (n, 224, 224, 3) in [0, 1], class indices and class names."""
    files = sorted(paths.list_images(folder))
    pixels = [cv2.resize(cv2.cvtColor(np.asarray(cv2.imread(file)), cv2.COLOR_BGR2RGB), (224, 224)) for file in files]
    names = [Path(file).parent.name for file in files]
    classes = sorted(set(names))
    return np.array(pixels) / 255.0, np.array([classes.index(name) for name in names]), classes


def rotated(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a fresh rotation of each image, uniform in ±15°, with the border repeated."""
    turned = []
    for image in pixels:
        matrix = cv2.getRotationMatrix2D((111.5, 111.5), generator.uniform(-15, 15), 1.0)
        turned.append(cv2.warpAffine(image, matrix, (224, 224), borderMode=cv2.BORDER_REPLICATE))
    return np.stack(turned)


class Batches(keras.utils.PyDataset):
    """Shuffled, freshly rotated batches of the training images."""

    def __init__(self, pixels: np.ndarray, truth: np.ndarray, seed: int) -> None:
        super().__init__()
        self.pixels, self.truth, self.generator = pixels, truth, np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.pixels) // BATCH

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * BATCH : (index + 1) * BATCH]
        return rotated(self.pixels[rows], self.generator), self.truth[rows]

    def on_epoch_end(self) -> None:
        """Draw a new order of the images."""
        self.order = self.generator.permutation(len(self.pixels))


def build(classes: int) -> keras.Model:
    """Return the frozen base with the tutorial's head on it."""
    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=keras.Input((224, 224, 3)))
    for name, pair in load(None, default_folder())[0].items():
        base.get_layer(name).set_weights(list(pair))
    base.trainable = False
    x = keras.layers.AveragePooling2D((4, 4))(base.output)
    x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(x))
    x = keras.layers.Dense(classes, activation="softmax")(keras.layers.Dropout(0.5)(x))
    model = keras.Model(base.input, x)
    schedule = keras.optimizers.schedules.InverseTimeDecay(LEARNING_RATE, 1, LEARNING_RATE / EPOCHS)
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(schedule), metrics=["accuracy"])
    return model


def main() -> None:
    """Train and evaluate as the tutorial does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)

    pixels, labels, classes = read_images(options.dataset)
    truth = tf.one_hot(labels, len(classes)).numpy()
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, truth, test_size=0.20, stratify=labels, random_state=options.seed
    )
    model = build(len(classes))
    history = model.fit(
        Batches(train_x, train_y, options.seed), validation_data=(test_x, test_y), epochs=EPOCHS, verbose=2
    ).history
    said = model.predict(test_x, batch_size=BATCH, verbose=0).argmax(axis=1)
    print(classification_report(test_y.argmax(axis=1), said, target_names=classes))
    print(confusion_matrix(test_y.argmax(axis=1), said))

    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    for name, values in history.items():
        plt.plot(values, label=name)
    plt.legend()
    plt.savefig(options.output / "plot.png")
    model.save(options.output / "covid19.h5")


if __name__ == "__main__":
    main()
