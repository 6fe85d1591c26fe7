"""Kermany's collection: patients and kinds of pneumonia by file name."""

from __future__ import annotations

import pytest

from detector.collections import kermany


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("NORMAL2-IM-1179-0001.jpeg", "1179"),
        ("IM-0033-0001-0002.jpeg", "0033"),
        ("person101_virus_187.jpeg", "person101"),
        ("person1_bacteria_2.jpeg", "person1"),
        ("auntminnie-a-2020.jpeg", None),
    ],
)
def test_a_file_name_names_the_patient(name, patient):
    assert kermany.patient(name) == patient
