"""The cross-entropy, and its best intercepts."""

from __future__ import annotations

import numpy as np

from detector.statistics.cross_entropy import best_intercepts, cross_entropy


def test_the_cross_entropy_is_scikit_learns():
    from scipy.special import softmax
    from sklearn.metrics import log_loss

    generator = np.random.default_rng(0)
    logits, labels = generator.normal(0, 3, (50, 3)), np.arange(50) % 3
    assert abs(cross_entropy(logits, labels).mean() - log_loss(labels, softmax(logits, axis=1))) < 1e-12


def test_the_intercept_is_the_best_one_where_the_classes_are_nearly_separated():
    """Of two classes its derivative is monotonic: a bracketing search finds it to the last digits."""
    from scipy.optimize import brentq
    from scipy.special import expit

    generator = np.random.default_rng(0)
    for gap in (1.0, 8.0, 24.0, 40.0):
        labels = np.arange(24) % 2
        margins = gap * (labels - 0.5) + generator.normal(5.0, 2.0, 24)
        weights = np.where(labels == 0, 0.8, 1.3)
        best = brentq(lambda x: weights @ (expit(margins + x) - labels), -30, 30, xtol=1e-12)  # noqa: B023
        first, second = best_intercepts(np.column_stack([-margins, margins]) / 2, labels, weights)
        assert abs((second - first) - best) < 1e-5 and first + second == 0


def test_of_three_classes_each_is_predicted_as_often_as_it_is_there():
    from scipy.special import softmax

    generator = np.random.default_rng(0)
    labels, weights = np.repeat([0, 1, 2], (40, 20, 10)), generator.uniform(0.5, 2, 70)
    logits = generator.normal(0, 1, (70, 3)) + 2 * np.eye(3)[labels] + [4.0, 0.0, -4.0]
    intercepts = best_intercepts(logits, labels, weights)
    assert np.allclose(weights @ softmax(logits + intercepts, axis=1), np.bincount(labels, weights), rtol=1e-5)
    assert abs(intercepts.sum()) < 1e-12
