"""Heads: fitting, class weights and probabilities; what the probe learns within strata, and what not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import rejection

from detector.network import head, probe
from detector.network.head import TutorialRecipe
from detector.network.probe import ProbeRecipe
from detector.statistics.strata import holding_two_classes

CLASSES = ["covid", "normal"]


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


def training_set(features, labels, classes, groups=None, strata=None):
    """Return what a head is fitted to, features of shape (n, copies, width)."""
    groups = np.arange(len(labels)) if groups is None else groups
    strata = np.full(len(labels), "") if strata is None else strata
    return head.TrainingSet(features, labels, classes, groups, strata)


def fit_probe(features, labels, classes, groups, seed, strata=None):
    data = training_set(features[:, None], labels, classes, groups, strata)
    return ProbeRecipe(adjust="none" if strata is None else "strata").fit(data, seed, None, print)


def simulated(n=240, width=40, seed=0, **chosen):
    """Return features with a disease in column 0 and a source in column 1, labels, patients and strata.

    `mixed` is the share of images of a source that holds both classes; the others' source goes with their class.
    """
    disease, source, mixed = (
        chosen.get(name, usual) for name, usual in (("disease", 1.0), ("source", 0.0), ("mixed", 0.5))
    )
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    apart = generator.random(n) >= mixed
    strata = np.where(apart, np.where(labels == 0, "a, PA", "b, PA"), "c, PA")
    features = generator.normal(0, 1, (n, width)).astype(np.float32)
    features[:, 0] += disease * labels
    features[:, 1] += source * np.where(apart, labels, 0.5)
    return features, labels, np.arange(n).astype(str), strata


def weight(fitted, features, column):
    """Return how much a deviation of a column speaks for class 1 against class 0."""
    return float(np.diff(fitted.weights[0][column])[0] * features[:, column].std())


def test_a_difference_between_sites_is_not_learned_within_strata():
    features, labels, patients, strata = simulated(source=4.0)
    across = fit_probe(features, labels, CLASSES, patients, 0)
    within = fit_probe(features, labels, CLASSES, patients, 0, strata)
    assert weight(across, features, 1) > weight(across, features, 0)
    assert abs(weight(within, features, 1)) < 0.1 * weight(across, features, 1)
    assert weight(within, features, 0) > 4 * abs(weight(within, features, 1))


@pytest.mark.parametrize("adjust", ["strata", "auto"])
def test_strata_of_one_class_are_left_out(adjust):
    """They can teach the site only; nor do they decide what a feature is divided by."""
    features, labels, patients, strata = simulated(source=4.0, mixed=0.5)
    strata[:5] = ""
    kept = strata == "c, PA"
    features[~kept] *= 10
    alone = fit_probe(features[kept], labels[kept], CLASSES, patients[kept], 0, strata[kept])
    data = training_set(features[:, None], labels, CLASSES, patients, strata)
    both = ProbeRecipe(adjust=adjust).fit(data, 0, None, print)
    assert both.adjusted and alone.adjusted and both.strength == alone.strength
    assert all(np.array_equal(one, other) for one, other in zip(alone.weights, both.weights, strict=True))


def test_without_a_shared_stratum_auto_does_not_adjust_and_strata_is_rejected():
    features, labels, patients, strata = simulated(40, mixed=0.0)
    data = training_set(features[:, None], labels, CLASSES, patients, strata)
    with rejection("--adjust strata: .* a class shares no site and view with another"):
        ProbeRecipe(adjust="strata").fit(data, 0, None, print)
    fitted = [ProbeRecipe(adjust=adjust).fit(data, 0, None, print) for adjust in ("auto", "none")]
    assert not fitted[0].adjusted
    assert all(np.array_equal(*pair) for pair in zip(fitted[0].weights, fitted[1].weights, strict=True))


def test_the_intercept_holds_at_another_site():
    """A rare class of the mixed stratum is predicted as often as the common one: the classes count equally."""
    features, labels, patients, strata = simulated(600, disease=3.0, mixed=0.7)
    rare = (strata == "c, PA") & (labels == 0) & (np.arange(600) % 5 > 0)
    keep = ~rare
    fitted = fit_probe(features[keep], labels[keep], CLASSES, patients[keep], 0, strata[keep])
    fresh, truth, _, _ = simulated(600, seed=3, disease=3.0, mixed=1.1)
    predicted = fitted.predict_proba(fresh).argmax(axis=1)
    assert (predicted[truth == 0] == 0).mean() > 0.8
    assert (predicted[truth == 1] == 1).mean() > 0.7


def test_the_probe_is_scikit_learns_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    for n, width in ((60, 100), (200, 30)):
        features, labels, patients, _ = simulated(n, width)
        features = features * np.linspace(5, 50, width, dtype=np.float32) + 7
        fitted = fit_probe(features, labels, CLASSES, patients, 0)
        standardised = (features - features.mean(axis=0)) / features.std(axis=0)
        theirs = LogisticRegression(C=fitted.strength, class_weight="balanced", tol=1e-8, max_iter=5000)
        expected = theirs.fit(standardised, labels).predict_proba(standardised)
        assert np.abs(fitted.predict_proba(features) - expected).max() < 2e-3


def test_separated_classes_are_fitted_to_the_last_digits():
    """The errors of both classes balance, and a rounding, as by another number of processors, changes nothing."""
    features, labels, patients, strata = simulated(24, 400, disease=0.0, mixed=0.7)
    features += 0.5 * np.float32(labels[:, None])
    rounded = features + np.random.default_rng(1).normal(0, 3e-6, features.shape).astype(np.float32)
    one, two = (fit_probe(x, labels, CLASSES, patients, 0, strata) for x in (features, rounded))
    ours, theirs = (f.predict_proba(x) for x, f in ((features, one), (rounded, two)))
    assert np.abs(ours - theirs).max() < 1e-5
    kept = holding_two_classes(labels, strata)
    weights = head.class_weights(labels[kept], 2, True)
    first, second = (weights[k] * ours[kept & (labels == k)][:, 1 - k].sum() for k in (0, 1))
    assert abs(first / second - 1) < 1e-3


def test_only_the_folds_know_the_seed_and_history_shows_the_choice():
    features, labels, patients, strata = simulated()
    first, again = (fit_probe(features, labels, CLASSES, patients, 1, strata) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first.weights, again.weights, strict=True))
    history = first.history
    assert history["strength"] == list(probe.STRENGTHS) and len(history["loss"]) == len(history["cv_loss"]) == 9
    assert first.strength == history["strength"][int(np.argmin(history["cv_loss"]))]
    assert history["loss"] == sorted(history["loss"], reverse=True)
    seeds = [fit_probe(features, labels, CLASSES, patients, seed, strata) for seed in range(2, 5)]
    same = [one.weights[0] for one in seeds if one.strength == seeds[0].strength]
    assert all(np.array_equal(one, same[0]) for one in same)


def test_three_classes_constant_columns_and_few_patients():
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = generator.normal(0, 1, (90, 20)).astype(np.float32) + np.eye(3, 20, dtype=np.float32)[labels] * 3
    features[:, 7] = 5.0
    fitted = fit_probe(features, labels, ["a", "b", "c"], np.arange(90), 0)
    assert [array.shape for array in fitted.weights] == [(20, 3), (3,)]
    assert (fitted.predict_proba(features).argmax(axis=1) == labels).mean() > 0.9
    assert not fitted.weights[0][7].any()
    few = fit_probe(features[:6], labels[:6], ["a", "b", "c"], np.array(list("aabbcc"))[[0, 2, 4, 1, 3, 5]], 0)
    assert few.history == {"strength": [], "loss": [], "cv_loss": []} and few.strength == probe.DEFAULT_STRENGTH


def test_a_channel_that_is_silent_in_training_decides_nothing():
    """Inside the lungs such a channel has a mean of about 1e-14; another image may lie 1e13 deviations away."""
    features, labels, patients, _ = simulated()
    train, held_out = np.arange(200), np.arange(200, 240)
    silent = features.copy()
    silent[train, 5] = 1e-14 * np.abs(features[train, 5])
    silent[train, 6] = 0.0
    silent[held_out, 5:7] = 0.01
    fitted = fit_probe(silent[train], labels[train], CLASSES, patients[train], 0)
    without = np.delete(silent, [5, 6], axis=1)
    expected = fit_probe(without[train], labels[train], CLASSES, patients[train], 0)
    found = fitted.predict_proba(silent[held_out])
    assert np.abs(found - expected.predict_proba(without[held_out])).max() < 0.02
