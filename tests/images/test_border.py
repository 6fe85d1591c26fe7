"""Properties of the border do not see the chest."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images import phantom
from detector.images.border import NAMES, border_properties


def test_the_border_does_not_see_the_chest():
    image = phantom.draw(True, 1)
    other = image.copy()
    other[70:440, 70:440] = np.random.default_rng(0).integers(0, 255, (370, 370))
    assert border_properties(image) == border_properties(other)
    assert len(border_properties(image)) == len(NAMES) == 13
    assert border_properties(np.stack([image] * 3, axis=-1)) == pytest.approx(border_properties(image), abs=2e-3)
