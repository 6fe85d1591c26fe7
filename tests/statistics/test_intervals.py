"""Proportions: as published, and covering what they should with several images a patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t
from statistics_helpers import SETS, at_least, at_most, of_patients

from detector.statistics import proportions, resampling
from detector.statistics.resampling import effective_size


def test_wilson_as_published():
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = proportions.proportion(np.arange(n) < hits, np.arange(n))
        assert (round(found.ci_low, 4), round(found.ci_high, 4)) == (low, high)


@pytest.mark.parametrize("images", [1, 3, 10])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_are_over_patients(images, share):
    """Coverage of 95 % with several images a patient, whose latent correlation is 0.6."""
    generator = np.random.default_rng([images, round(10 * share)])
    covered = 0
    for _ in range(SETS):
        latent, who = of_patients(generator, 40, images)
        found = proportions.proportion(latent < norm.ppf(share), who)
        covered += found.ci_low <= share <= found.ci_high
    assert at_least(SETS) <= covered / SETS <= at_most(SETS)


def test_wilsons_interval_over_images_would_not_cover():
    """What the design effect is for: that is what the coverage test can tell."""
    generator, covered = np.random.default_rng(0), 0
    for _ in range(SETS):
        latent, who = of_patients(generator, 40, 10)
        found = proportions.proportion(latent < 0, np.arange(len(who)))
        covered += found.ci_low <= 0.5 <= found.ci_high
    assert covered / SETS < 0.75


def test_images_that_all_agree_are_worth_their_patients():
    who = np.repeat(np.arange(12), 5)
    assert effective_size(np.ones(60), who) == (12.0, 12)
    one, other = proportions.proportion(np.ones(60), who), proportions.proportion(np.ones(12), np.arange(12))
    assert (one.ci_low, one.n_patients) == (other.ci_low, other.n_patients)
    assert one.n_positive == 60


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=30))
def test_an_interval_holds_its_value(cells):
    found = proportions.proportion(np.array([hit for hit, _ in cells]), np.array([who for _, who in cells]))
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


def test_no_images_have_no_proportion():
    assert proportions.proportion(np.empty(0), np.empty(0)).reason == "no images"


def test_a_bootstrap_draws_patients_whole_and_classes_apart():
    truth, who = np.arange(12) < 6, np.repeat(np.arange(6), 2)
    for weights in resampling.patient_draws(truth, who, 0):
        assert (weights[:, ::2] == weights[:, 1::2]).all()
        assert (weights[:, truth].sum(axis=1) == 6).all()
        break


def test_uneven_patients_count_as_fewer_for_students_quantile():
    """Twelve patients with one image and two with twelve: two of them hold two thirds of the images."""
    who = np.concatenate([np.arange(12), np.repeat([12, 13], 12)])
    hits = np.concatenate([np.arange(12) % 2, np.ones(12), np.zeros(12)])
    size, count = effective_size(hits, who)
    found = proportions.proportion(hits, who)
    assert found.n_patients == count == 14
    quantile = t.ppf(0.975, 36**2 / (12 + 2 * 144) - 1)
    assert (found.low, found.high) == pytest.approx(resampling.wilson(0.5, size, quantile))
