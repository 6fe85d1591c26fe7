"""The tutorial's loop, to measure against: every image through the whole frozen network, every epoch.

Written anew after the description of A. Rosebrock's recipe (2020), with the calls that it makes where Keras still has
them. Arguments: the data set, and the folder of the outputs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from imutils import paths
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import train_test_split

from detector.files.cache import default_folder
from detector.network.weights import load

EPOCHS, BATCH, LEARNING_RATE, SEED = 25, 8, 1e-3, 42


def read_images(folder: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return pixels (n, 224, 224, 3) in [0, 1], class indices and class names."""
    files = sorted(paths.list_images(folder))
    pixels = [cv2.resize(cv2.cvtColor(np.asarray(cv2.imread(file)), cv2.COLOR_BGR2RGB), (224, 224)) for file in files]
    classes, labels = np.unique([Path(file).parent.name for file in files], return_inverse=True)
    return np.array(pixels) / 255.0, labels, classes.tolist()


def build(classes: int) -> keras.Model:
    """Return the frozen base with the tutorial's head on it."""
    base = keras.applications.VGG16(weights=None, include_top=False, input_tensor=keras.Input((224, 224, 3)))
    for name, pair in load(None, default_folder()).items():
        base.get_layer(name).set_weights(list(pair))
    base.trainable = False
    x = keras.layers.AveragePooling2D((4, 4))(base.output)
    x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(x))
    x = keras.layers.Dense(classes, activation="softmax")(keras.layers.Dropout(0.5)(x))
    model = keras.Model(base.input, x)
    schedule = keras.optimizers.schedules.InverseTimeDecay(LEARNING_RATE, 1, LEARNING_RATE / EPOCHS)
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(schedule), metrics=["accuracy"])
    return model


def main(dataset: str, output: Path) -> None:
    """Train and evaluate as the tutorial does."""
    keras.utils.set_random_seed(SEED)
    pixels, labels, classes = read_images(dataset)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, np.eye(len(classes))[labels], test_size=0.20, stratify=labels, random_state=SEED
    )
    model = build(len(classes))
    rotated = tf.keras.preprocessing.image.ImageDataGenerator(rotation_range=15, fill_mode="nearest")
    history = model.fit(
        rotated.flow(train_x, train_y, batch_size=BATCH),
        steps_per_epoch=len(train_x) // BATCH,
        validation_data=(test_x, test_y),
        epochs=EPOCHS,
        verbose=2,
    ).history
    said = model.predict(test_x, batch_size=BATCH, verbose=0).argmax(axis=1)
    print(classification_report(test_y.argmax(axis=1), said, target_names=classes))
    print(confusion_matrix(test_y.argmax(axis=1), said))
    for name, values in history.items():
        plt.plot(values, label=name)
    plt.legend()
    plt.savefig(output / "plot.png")
    model.save(output / "covid19.h5")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
