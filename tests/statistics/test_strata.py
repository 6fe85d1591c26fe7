"""Which images can be compared with each other."""

from __future__ import annotations

import numpy as np

from detector.statistics.strata import comparable, crossed, holding_two_classes


def test_which_strata_hold_two_classes():
    labels, strata = np.array([0, 1, 0, 1, 0, 1]), np.array(["a", "a", "b", "", "", "c"])
    assert holding_two_classes(labels, strata).tolist() == [True, True, False, False, False, False]
    assert comparable(labels, strata, 2) and not comparable(labels[2:], strata[2:], 2)


def test_crossed_strata_agree_in_every_property_and_unknown_ones_in_none():
    folds = np.array([[0, 0, 1, 1, 0], [1, 0, 1, 0, 0]])
    found = crossed(np.array(["a", "a", "a", "", "b"]), folds)
    assert found.shape == (2, 5)
    assert (found[:, 3] == -1).all()
    assert found[0, 0] == found[0, 1] != found[0, 2]
    assert found[1, 0] == found[1, 2] != found[1, 1]
    assert len({*found[0, [0, 2, 4]]}) == 3
