"""Strata, and the small helpers of linear fits."""

from __future__ import annotations

import numpy as np
import pytest

from detector.statistics import strata
from detector.statistics.strata import crossed, holding_two_classes


def test_which_strata_hold_two_classes():
    labels, strata = np.array([0, 1, 0, 1, 0, 1]), np.array(["a", "a", "b", "", "", "c"])
    assert holding_two_classes(labels, strata).tolist() == [True, True, False, False, False, False]


def test_crossed_strata_agree_in_every_property_and_unknown_ones_in_none():
    folds = np.array([[0, 0, 1, 1, 0], [1, 0, 1, 0, 0]])
    found = crossed(np.array(["a", "a", "a", "", "b"]), folds)
    assert found.shape == (2, 5)
    assert (found[:, 3] == -1).all()
    assert found[0, 0] == found[0, 1] != found[0, 2]
    assert found[1, 0] == found[1, 2] != found[1, 1]
    assert len({*found[0, [0, 2, 4]]}) == 3


def test_spread_is_the_standard_deviation_of_what_is_not_nearly_constant():
    features = np.random.default_rng(0).normal(0, [1.0, 2.0, 3.0, 1e-3, 0.0], (500, 5)) + np.array([0, 0, 0, 0, 7])
    found = strata.spread(features)
    assert found[:3] == pytest.approx(features[:, :3].std(axis=0))
    assert found[3] == pytest.approx(strata.LEAST_SPREAD * np.median(features[:, :4].std(axis=0)))
    assert found[4] == np.inf
    assert (strata.spread(np.ones((4, 2))) == np.inf).all()
