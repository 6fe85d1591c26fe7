"""Synthetic radiographs: lungs, bones and heart where they belong, opacities whose boxes are known."""

from __future__ import annotations

import numpy as np
import pytest

from detector.images import phantom


@pytest.mark.parametrize("seed", [1, 42_000_000, 42_000_007])
def test_boxes_hold_what_the_disease_changes(seed):
    with_covid, without = (phantom.draw(covid, seed).astype(float) for covid in (True, False))
    change = np.abs(with_covid - without)
    inside = np.zeros(change.shape, bool)
    boxes = phantom.draw_boxes(seed)
    assert boxes
    for x, y, width, height in boxes:
        assert 0 <= x < x + width <= 1 and 0 <= y < y + height <= 1
        left, top, right, bottom = (round(phantom.SIDE * value) for value in (x, y, x + width, y + height))
        inside[top:bottom, left:right] = True
    assert inside.mean() < 0.35
    assert change[inside].mean() > 10 * change[~inside].mean()
    assert change[inside].sum() > 0.8 * change.sum()


def test_brightness_alone_does_not_separate_phantoms(phantoms_of):
    from sklearn.metrics import roc_auc_score

    positive, negative = (phantoms_of.images(label) for label in ("covid", "normal"))
    means = [one.mean() for one in (*positive, *negative)]
    assert 0.25 < roc_auc_score(np.arange(len(means)) < len(positive), means) < 0.75
    assert {one.shape for one in positive} == {(512, 512)}


def test_another_visit_has_the_same_anatomy_and_disease():
    states = [[one.bit_generator.state for one in phantom.generators(7, visit)] for visit in (0, 1, 2)]
    anatomy, exposure, disease = zip(*states, strict=True)
    assert anatomy[0] == anatomy[1] == anatomy[2] and disease[0] == disease[1] == disease[2]
    assert exposure[0] != exposure[1] != exposure[2] != exposure[0]
    assert (phantom.draw(True, 7) != phantom.draw(True, 7, visit=1)).mean() > 0.5
