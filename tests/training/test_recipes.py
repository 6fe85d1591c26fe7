"""Recipes: whether a probe is fitted within strata."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import rejection

from detector.network.head import TrainingSet
from detector.training.recipes import ProbeRecipe


def training_set(strata):
    generator, labels = np.random.default_rng(0), np.arange(40) % 2
    features = (generator.normal(size=(40, 1, 5)) + labels[:, None, None]).astype(np.float32)
    return TrainingSet(features, labels, ["covid", "normal"], np.arange(40).astype(str), np.array(strata))


@pytest.mark.parametrize(
    ("adjust", "strata", "adjusted"),
    [
        ("auto", ["a, PA"] * 40, True),
        ("auto", ["a, PA", "b, PA"] * 20, False),
        ("none", ["a, PA"] * 40, False),
        ("strata", ["a, PA"] * 40, True),
    ],
)
def test_a_probe_is_fitted_within_strata_where_these_hold_two_classes(adjust, strata, adjusted):
    assert ProbeRecipe(adjust=adjust).fit(training_set(strata), 0, None, print).adjusted == adjusted


def test_strata_that_hold_one_class_each_cannot_be_asked_for():
    with rejection("--adjust none"):
        ProbeRecipe(adjust="strata").fit(training_set(["a, PA", "b, PA"] * 20), 0, None, print)
