"""Whose a phantom is, what it looks like with a shortcut, and what the manifest says of it."""

from __future__ import annotations

import hashlib

from detector.datasets import phantoms
from detector.datasets.phantoms import Shortcut, Visit


def test_phantoms_of_a_patient_follow_each_other():
    visits = [phantoms.visit_of(number, 5, 2) for number in range(5, 10)]
    assert visits == [Visit(5, 0), Visit(5, 1), Visit(7, 0), Visit(7, 1), Visit(9, 0)]


def test_only_the_positive_class_has_the_shortcut():
    one, shortcut = Visit(0, 0), Shortcut("mark", 3)
    for label, differs in (("covid", True), ("normal", False)):
        plain = phantoms.draw_file(label, one, 1, None)
        assert (phantoms.draw_file(label, one, 1, shortcut) != plain) == differs


def test_a_row_names_the_patients_first_phantom_and_the_boxes_of_opacities():
    drawn = {"phantom-00001.png": b"one"}
    (row,) = phantoms.manifest_rows(drawn, "covid", [Visit(0, 1)], 42)
    assert (row["patient"], row["finding"]) == ("phantom-00000", "COVID-19")
    assert row["sha256"] == hashlib.sha256(b"one").hexdigest() and row["boxes"]
    (row,) = phantoms.manifest_rows(drawn, "normal", [Visit(0, 1)], 42)
    assert (row["finding"], row["boxes"]) == ("No Finding", "")
