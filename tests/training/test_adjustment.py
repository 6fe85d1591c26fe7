"""Whether a model is fitted within strata."""

from __future__ import annotations

import numpy as np
from conftest import rejection


def test_strata_of_one_class_are_not_adjusted_for():
    from detector.cli.output import Log
    from detector.training.run import is_adjusted

    labels, strata, sides = np.array([0, 1]), np.array(["a, PA", "b, PA"]), [np.arange(2)]
    assert not is_adjusted("auto", labels, strata, ["covid", "normal"], sides, Log(True))
    assert not is_adjusted("none", labels, strata, ["covid", "normal"], sides, Log(True))
    with rejection("--adjust strata: not every class shares a site and view"):
        is_adjusted("strata", labels, strata, ["covid", "normal"], sides, Log(True))
