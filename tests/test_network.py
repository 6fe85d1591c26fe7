"""Rotation, the frozen base and the head."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from conftest import picture

from detector.images import phantom
from detector.images.network_input import NetworkInput
from detector.images.rotation import angles, rotate
from detector.network import head, keras_head
from detector.network.backbone import COLUMNS, WIDTH, Backbone
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


def zeros(recipe: str, pooling: str) -> list[np.ndarray]:
    """Return a head that says nothing, for a model of this recipe and pooling."""
    width = len(range(WIDTH)[COLUMNS[recipe, pooling]])
    sizes = [width, 2] if recipe == "probe" else [width, 64, 2]
    return [array for a, b in pairwise(sizes) for array in (np.zeros((a, b), np.float32), np.zeros(b, np.float32))]


@pytest.mark.parametrize(("recipe", "pooling"), list(COLUMNS))
def test_features_are_those_of_the_saved_model(weights, chests, recipe, pooling):
    import keras

    from detector.network.model import Description, join

    backbone = Backbone(weights, Cache(None))
    features = backbone.features(list(chests), "float32", chests.__getitem__)[:, COLUMNS[recipe, pooling]]
    description = Description(["a", "b"], "a", recipe, pooling)
    model = join(weights, zeros(recipe, pooling), description)
    pooled = model.get_layer("hidden" if recipe == "tutorial" else "probabilities").input
    pixels = np.stack([rotate(chests[view], view.angle) for view in chests]).astype(np.float32) / 255
    found = keras.Model(model.input, pooled).predict(pixels, verbose=0)
    assert np.abs(found - features).max() < 2e-5


def test_pooling_inside_the_lungs_is_a_weighted_mean_of_their_cells(weights, chests):
    import keras

    backbone = Backbone(weights, Cache(None))
    inputs = list(chests)
    features = backbone.features(inputs, "float32", chests.__getitem__)
    masks = list(backbone.lungs(inputs, chests.__getitem__))
    base = keras.applications.VGG16(weights=None, include_top=False)
    for name, pair in weights.items():
        base.get_layer(name).set_weights(list(pair))
    last = base.predict(np.stack([chests[one] for one in inputs]).astype(np.float32) / 255, verbose=0)
    for row, mask, cells in zip(features, masks, last, strict=True):
        shares = mask.reshape(7, 32, 7, 32).mean(axis=(1, 3))
        weight = (shares if shares.any() else np.ones_like(shares))[..., None]
        expected = (weight * cells).sum(axis=(0, 1)) / weight.sum()
        assert np.allclose(expected, row[COLUMNS["tutorial", "lungs"]], rtol=1e-4, atol=1e-5)
        if not mask.any():
            np.testing.assert_allclose(
                row[COLUMNS["probe", "lungs"]], row[COLUMNS["probe", "global"]], rtol=1e-4, atol=1e-5
            )
    assert [mask.any() for mask in masks] == [True, True, False]


@pytest.fixture
def chests(tmp_path) -> dict[NetworkInput, np.ndarray]:
    """Return two phantoms, which have lungs, and an even image, which has none."""
    drawn = [phantom.draw(seed == 0, seed) for seed in range(2)]
    small = [
        cv2.resize(one, (224, 224), interpolation=cv2.INTER_AREA) for one in (*drawn, np.full((224, 224), 90, np.uint8))
    ]
    return {
        NetworkInput(tmp_path / f"{i}.png", f"{i:064x}"): np.repeat(one[..., None], 3, axis=2).astype(np.uint8)
        for i, one in enumerate(small)
    }


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
    inside = np.full((1, 224, 224), -1, np.int8)
    alone = np.concatenate([single(pixels[i : i + 1], inside)[0].numpy() for i in range(5)])
    for other in (backwards, one_by_one, from_cache, alone):
        assert np.allclose(other, reference, rtol=1e-5, atol=1e-5)


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
    data = head.TrainingSet(features, labels, ["a", "b"], labels, labels)
    first = head.fit(data, hyperparameters, 1, (features[:, 0], labels))
    head.fit(data, hyperparameters, 2)
    again = head.fit(data, hyperparameters, 1, (features[:, 0], labels))
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
    trained = head.fit(
        head.TrainingSet(features, np.array([0, 1, 2, 0, 1]), list("abc"), None, None),
        head.Hyperparameters(epochs=2),
        0,
    )
    said = head.predict_proba(features[:, 0], trained.weights)
    assert said.shape == (5, 3)
    assert np.allclose(said.sum(axis=1), 1)
