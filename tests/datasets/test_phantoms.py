"""What a phantom looks like with a shortcut, and what the manifest says of it."""

from __future__ import annotations

import hashlib

import pytest

from detector.datasets.phantoms import Phantom


@pytest.mark.parametrize(("label", "differs"), [("covid", True), ("normal", False)])
def test_only_the_positive_class_has_the_shortcut(label, differs):
    one = Phantom(label, 0, 0, 1)
    assert (one.file("mark", 3) != one.file()) == differs


def test_a_row_names_the_patients_first_phantom_and_the_boxes_of_opacities():
    row = Phantom("covid", 1, 0, 42).row(b"one")
    assert (row["file"], row["patient"], row["finding"]) == ("phantom-00001.png", "phantom-00000", "COVID-19")
    assert row["sha256"] == hashlib.sha256(b"one").hexdigest() and row["boxes"]
    row = Phantom("normal", 1, 0, 42).row(b"one")
    assert (row["finding"], row["boxes"]) == ("No Finding", "")
