"""The path of an image stays inside of its collection; findings, and which images are controls."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.collections import record
from detector.collections.cohen import Cohen


@pytest.mark.parametrize(
    ("finding", "names", "control"),
    [
        ("COVID-19", True, False),
        ("COVID-19, ARDS", True, False),
        ("Pneumonia/Viral/COVID-19", True, False),
        ("covid 19", True, False),
        ("Pneumonia/Viral/SARS", False, True),
        ("Pneumonia/Fungal/Pneumocystis", False, True),
        ("No Finding", False, True),
        ("todo", False, False),
        ("", False, False),
        ("Unknown", False, False),
    ],
)
def test_a_finding_is_covid_a_control_or_neither(finding, names, control):
    assert record.names_finding(finding, "COVID-19") == names
    assert Cohen().is_control(finding, "COVID-19") == control


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["No Finding", "Mass", "Pneumonia/Viral", "Hernia"]), min_size=1, unique=True))
def test_an_image_has_each_of_its_labels_and_no_other(labels):
    for label in ("No Finding", "mass", "Pneumonia", "pneumonia/viral", "hernia", "Pneumonia/Bacterial"):
        has = any(f"{one}/".lower().startswith(f"{label}/".lower()) for one in labels)
        assert record.names_finding("|".join(labels), label) == has
