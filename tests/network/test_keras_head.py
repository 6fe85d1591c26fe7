"""The tutorial's head, trained as Keras would."""

from __future__ import annotations

import numpy as np
import pytest

from detector.network import head as keras_head


@pytest.fixture(scope="module")
def separable() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 80)
    return (generator.normal(0, 1, (80, 3, 512)) + 0.5 * labels[:, None, None]).astype(np.float32), labels


def test_an_epoch_takes_the_steps_of_keras_fit(separable):
    """Without dropout and shuffling, the compiled epoch takes the very steps that Keras' own `fit` takes."""
    import keras

    features, labels = separable
    trainer = keras_head.Trainer(512, 2, 3, 1e-3)
    streams, equal = np.random.SeedSequence(5).spawn(2), np.ones(2, np.float32)
    trainer.reset(*streams, equal)
    trainer._dropout.rate = 0.0
    x, y = features[:, 0].reshape(10, 8, 512), np.eye(2, dtype=np.float32)[labels].reshape(10, 8, 2)
    model = keras.Sequential(
        [keras.Input((512,)), *[layer for layer in keras_head.layers(2) if "dropout" not in layer.name]]
    )
    model.set_weights(trainer.weights())
    schedule = keras.optimizers.schedules.InverseTimeDecay(1e-3, 1, 1e-3 / 3)
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(schedule))
    fresh = keras_head.Trainer(512, 2, 3, 1e-3)
    for layer in fresh._head.layers:
        if layer.name == "dropout":
            layer.rate = 0.0
    fresh.reset(*streams, equal)
    for _ in range(3):
        fresh.epoch(x, y)
        model.fit(x.reshape(80, 512), y.reshape(80, 2), batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(fresh.weights(), model.get_weights(), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5
