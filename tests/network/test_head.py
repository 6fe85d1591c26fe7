"""Heads: fitting, class weights, probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.network import head
from detector.network.head import TutorialRecipe
from detector.network.probe import ProbeRecipe


@pytest.fixture(scope="module")
def separable() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 80)
    return (generator.normal(0, 1, (80, 3, 512)) + 0.5 * labels[:, None, None]).astype(np.float32), labels


def test_the_head_separates_classes_and_the_same_seed_repeats_it(separable):
    features, labels = separable
    data = head.TrainingSet(features, labels, ["a", "b"], labels, labels)
    recipe, seen = TutorialRecipe(epochs=8), []
    first = recipe.fit(data, 1, (features[:, 0], labels), lambda epoch, metrics: seen.append((epoch, [*metrics])))
    recipe.fit(data, 2, None, print)
    again = recipe.fit(data, 1, (features[:, 0], labels), print)
    assert seen == [(epoch, [*head.METRICS]) for epoch in range(1, 9)]
    assert all(np.array_equal(a, b) for a, b in zip(first.weights, again.weights, strict=True))
    assert first.history == again.history
    assert first.history["val_accuracy"][-1] > 0.95
    assert first.history["loss"][0] > first.history["loss"][-1]
    assert {name: len(values) for name, values in first.history.items()} == dict.fromkeys(head.METRICS, 8)


def test_three_classes_of_fewer_images_than_a_batch_can_be_fitted():
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (5, 1, 512)).astype(np.float32)
    data = head.TrainingSet(features, np.array([0, 1, 2, 0, 1]), list("abc"), None, None)
    trained = TutorialRecipe(epochs=2).fit(data, 0, None, print)
    said = trained.predict_proba(features[:, 0])
    assert said.shape == (5, 3)
    assert np.allclose(said.sum(axis=1), 1)


CLASSES = ["covid", "normal"]


def test_class_weights_balance_unequal_classes():
    assert head.class_weights(np.array([0, 1, 0, 1]), 2, True).tolist() == [1.0, 1.0]
    assert head.class_weights(np.array([0, 0, 0, 1]), 2, True).tolist() == pytest.approx([2 / 3, 2.0])
    assert head.class_weights(np.array([0, 0, 0, 1]), 2, False).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("recipe", [TutorialRecipe(epochs=12), ProbeRecipe(adjust="none")])
def test_balancing_changes_unequal_classes_only(recipe):
    """With equal classes the weights change nothing; with unequal ones the rare class is no longer overruled."""
    generator = np.random.default_rng(2)
    labels = (np.arange(120) % 6 == 0).astype(int)
    features = (generator.normal(0, 1, (120, 64)) + 0.25 * labels[:, None]).astype(np.float32)

    def fit(rows, balanced):
        data = head.TrainingSet(features[rows, None], labels[rows], CLASSES, rows, np.full(len(rows), ""))
        return replace(recipe, balanced=balanced).fit(data, 0, None, print)

    equal = np.concatenate([np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)[:20]])
    for one, other in zip(fit(equal, True).weights, fit(equal, False).weights, strict=True):
        assert np.array_equal(one, other)
    everything, fresh = np.arange(120), (generator.normal(0, 1, (200, 64)) + 0.25).astype(np.float32)
    found = [(fit(everything, how).predict_proba(fresh).argmax(axis=1) == 1).mean() for how in (1, 0)]
    assert found[0] > found[1] + 0.2
