"""What a phantom looks like with a shortcut, and what the manifest says of it."""

from __future__ import annotations

import hashlib

import pytest

from detector.datasets.phantoms import draw


@pytest.mark.parametrize(("label", "finding"), [("covid", "COVID-19"), ("normal", "No Finding")])
def test_the_positive_class_alone_has_shortcut_and_boxes(label, finding):
    (plain, row), (marked, _) = draw(label, 1, 0, 42), draw(label, 1, 0, 42, "mark", 3)
    assert (row["file"], row["patient"], row["finding"]) == ("phantom-00001.png", "phantom-00000", finding)
    assert row["sha256"] == hashlib.sha256(plain).hexdigest()
    assert (plain != marked) == bool(row["boxes"]) == (label == "covid")
