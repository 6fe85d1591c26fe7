"""Sites that are left out: each needs both classes, and both must be left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import rejection


def sites(*pairs):
    """Return a data set of images with a label and a site each."""
    from detector.datasets.dataset import Dataset, Image

    images = [Image(Path(f"{i}"), f"{label}/{i}", label, f"p{i}", o, o, {}) for i, (label, o) in enumerate(pairs)]
    return Dataset(images, sorted({label for label, _ in pairs}))


def test_a_site_without_which_a_class_is_missing_is_rejected():
    from detector.training import crossvalidation
    from detector.training.crossvalidation import OperatingPoint, TrainingProtocol
    from detector.training.dataset import FeatureSet
    from detector.training.recipes import ProbeRecipe

    with rejection("no site holds both covid and another class"):
        crossvalidation.sites_of_both_classes(sites(("covid", "a"), ("normal", "b")), 0)
    with rejection("without a no normal is left to train on"):
        crossvalidation.sites_of_both_classes(sites(("covid", "a"), ("normal", "a"), ("covid", "b")), 0)
    labels, where = np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"])
    # The second normal is of the first's patient.
    groups = np.array(["1", "2", "3", "2"])
    samples = FeatureSet(np.zeros((4, 1, 2)), np.zeros((4, 2)), labels, groups, where, ["covid", "normal"], [{}] * 4)
    with rejection("without the patients of a one class is left to train on"):
        protocol = TrainingProtocol(ProbeRecipe(), 0, OperatingPoint(), 0)
        crossvalidation.evaluate_left_out(samples, where, "a", protocol, "auto")


def left_out(**point):
    """Hold out a site of noise with a shift between the classes, at an operating point."""
    from audit_helpers import RidgeRecipe

    from detector.training import crossvalidation
    from detector.training.crossvalidation import OperatingPoint, TrainingProtocol
    from detector.training.dataset import FeatureSet

    labels, where = np.arange(80) % 2, np.where(np.arange(80) < 40, "a", "b")
    features = np.random.default_rng(0).normal(size=(80, 4)) + (labels == 0)[:, None]
    samples = FeatureSet(
        features[:, None], features, labels, np.arange(80).astype(str), where, ["covid", "normal"], [{}] * 80
    )
    protocol = TrainingProtocol(RidgeRecipe(), 0, OperatingPoint(**point), 0)
    return crossvalidation.evaluate_left_out(samples, where, "a", protocol, "none")


def test_the_operating_point_holds_at_a_site_that_is_left_out():
    """A threshold as given, and one that is chosen for a sensitivity on the other sites."""
    likeliest, strict, certain = left_out(), left_out(threshold=0.9), left_out(threshold=0.0)
    assert strict.sensitivity.value < likeliest.sensitivity.value < certain.sensitivity.value == 1.0
    assert strict.specificity.value > likeliest.specificity.value > certain.specificity.value == 0.0
    chosen, low = left_out(sensitivity=0.99), left_out(sensitivity=0.3)
    assert low.sensitivity.value < likeliest.sensitivity.value < chosen.sensitivity.value
    assert likeliest.roc_auc == strict.roc_auc == chosen.roc_auc
