"""What features are divided by."""

from __future__ import annotations

import numpy as np
import pytest

from detector.statistics import strata


def test_spread_is_the_standard_deviation_of_what_is_not_nearly_constant():
    features = np.random.default_rng(0).normal(0, [1.0, 2.0, 3.0, 1e-3, 0.0], (500, 5)) + np.array([0, 0, 0, 0, 7])
    found = strata.spread(features)
    assert found[:3] == pytest.approx(features[:, :3].std(axis=0))
    assert found[3] == pytest.approx(strata.LEAST_SPREAD * np.median(features[:, :4].std(axis=0)))
    assert found[4] == np.inf
    assert (strata.spread(np.ones((4, 2))) == np.inf).all()
