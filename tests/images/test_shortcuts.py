"""Planted shortcuts."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images import phantom, shortcuts


@pytest.mark.parametrize("kind", shortcuts.KINDS)
def test_a_stronger_shortcut_changes_an_image_more(kind):
    plain = phantom.draw(False, 1)
    changes = []
    for strength in shortcuts.STRENGTHS:
        changed = shortcuts.plant(plain, kind, strength, 7)
        assert changed.shape == plain.shape and changed.dtype == np.uint8
        assert np.array_equal(changed, shortcuts.plant(plain, kind, strength, 7))
        changes.append(np.abs(changed.astype(float) - plain).mean())
    assert 0 < changes[0] < changes[1] < changes[2]
