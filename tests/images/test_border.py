"""Properties of the border do not see the chest."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images import phantom
from detector.images.border import NAMES, frame_traits


def test_the_border_does_not_see_the_chest():
    image = phantom.draw(True, 1)
    other = image.copy()
    other[70:440, 70:440] = np.random.default_rng(0).integers(0, 255, (370, 370))
    assert frame_traits(image) == frame_traits(other)
    assert len(frame_traits(image)) == len(NAMES) == 13
    assert frame_traits(np.stack([image] * 3, axis=-1)) == pytest.approx(frame_traits(image), abs=2e-3)
