"""The path of an image stays inside of its collection; findings, and which images are controls."""

from __future__ import annotations

import pytest

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
