"""Rotation, the frozen base and the head."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import picture

from detector.images.network_input import NetworkInput
from detector.images.rotation import angles, rotate
from detector.network import head, keras_head
from detector.network.backbone import POOLINGS, Backbone
from detector.network.forward import compile_forward
from detector.storage.cache import Cache

# Rotation


def test_more_copies_keep_those_that_are_there():
    digest = "ab" * 32
    assert angles(digest, 7, 1)[:3] == angles(digest, 3, 1)
    assert angles(digest, 3, 1) != angles(digest, 3, 2) != angles("cd" * 32, 3, 2)
    assert all(-15 <= angle <= 15 for angle in angles(digest, 200, 0))


def test_rotation_turns_about_the_centre_and_repeats_the_border():
    pixels = np.full((224, 224, 3), 77, np.uint8)
    assert (rotate(pixels, 13.0) == 77).all()
    pixels[100:124, 20:40] = 255
    assert np.array_equal(rotate(pixels, 0.0), pixels)
    quarter = rotate(pixels, 90.0)
    assert quarter[190, 111, 0] == 255


# Backbone


@pytest.fixture
def views(tmp_path) -> dict[NetworkInput, np.ndarray]:
    pixels = {}
    for i in range(5):
        small = picture(tmp_path / f"{i}.png", i, (224, 224))
        pixels[NetworkInput(tmp_path / f"{i}.png", f"{i:064x}", angle=float(i))] = np.repeat(
            small[..., None], 3, axis=2
        )
    return pixels


@pytest.mark.parametrize("pool", ["tutorial", "global"])
def test_features_are_keras_own(weights, views, pool):
    from detector.network.model import join

    backbone = Backbone(weights, Cache(None))
    features = backbone.features(list(views), "float32", views.__getitem__)[:, POOLINGS[pool]]
    head_weights = [np.eye(512, 64, dtype=np.float32), np.zeros(64, np.float32), np.zeros((64, 2), np.float32)]
    model = join(weights, [*head_weights, np.zeros(2, np.float32)], pool)
    import keras

    base = keras.Model(model.input, model.get_layer("flatten").output)
    pixels = np.stack([rotate(views[view], view.angle) for view in views]).astype(np.float32) / 255
    assert np.abs(base.predict(pixels, verbose=0) - features).max() < 1e-5


def test_features_depend_on_neither_cache_nor_batch_nor_order_nor_threads(weights, views, tmp_path):
    import tensorflow as tf

    reference = Backbone(weights, Cache(None)).features(list(views), "float32", views.__getitem__)
    cache = Cache(tmp_path / "cache")
    cached = Backbone(weights, cache)
    backwards = cached.features(list(views)[::-1], "float32", views.__getitem__)[::-1]
    one_by_one = [cached.features([view], "float32", views.__getitem__)[0] for view in views]
    untouched = Backbone(weights, cache)
    from_cache = untouched.features(list(views), "float32", views.__getitem__)
    assert untouched.computed == 0
    with tf.device("/CPU:0"):
        single = compile_forward(weights, "float32")
    pixels = np.stack([rotate(views[view], view.angle) for view in views]).astype(np.float32) / 255
    alone = np.concatenate([single(pixels[i : i + 1])[0].numpy() for i in range(5)])
    for other in (backwards, one_by_one, from_cache, alone):
        assert np.abs(np.asarray(other) - reference).max() < 1e-5


def test_bfloat16_is_near_and_kept_apart(weights, views, tmp_path):
    backbone = Backbone(weights, Cache(tmp_path))
    exact = backbone.features(list(views), "float32", views.__getitem__)
    rough = backbone.features(list(views), "bfloat16", views.__getitem__)
    assert backbone.computed == 2 * len(views)
    assert 0 < np.abs(rough - exact).max() < 0.05 * exact.max()


# Head


@pytest.fixture(scope="module")
def separable() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 80)
    return (generator.normal(0, 1, (80, 3, 512)) + 0.5 * labels[:, None, None]).astype(np.float32), labels


def test_the_head_learns_and_repeats_itself(separable):
    features, labels = separable
    hyperparameters = head.Hyperparameters(epochs=8)
    first = head.fit(features, labels, 2, hyperparameters, 1, (features[:, 0], labels))
    head.fit(features, labels, 2, hyperparameters, 2)
    again = head.fit(features, labels, 2, hyperparameters, 1, (features[:, 0], labels))
    assert all(np.array_equal(a, b) for a, b in zip(first.weights, again.weights, strict=True))
    assert first.history == again.history
    assert first.history["val_accuracy"][-1] > 0.95
    assert first.history["loss"][0] > first.history["loss"][-1]
    assert [len(values) for values in first.history.values()] == [8] * 4


def test_the_head_is_what_keras_fit_would_train(separable):
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


def test_three_classes_and_fewer_images_than_a_batch():
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (5, 1, 512)).astype(np.float32)
    trained = head.fit(features, np.array([0, 1, 2, 0, 1]), 3, head.Hyperparameters(epochs=2), 0)
    said = head.predict_proba(features[:, 0], trained.weights)
    assert said.shape == (5, 3)
    assert np.allclose(said.sum(axis=1), 1)
