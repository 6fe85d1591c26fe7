"""Subgroups: bands, missing values, and why a group has no metric."""

from __future__ import annotations

from detector.audit import subgroups
from detector.statistics.metric import too_few


def test_bands_and_missing_values():
    assert [subgroups.age_band(text) for text in ("0", "17.5", "18", "59", "60", "80", "130", "", "x", "nan")] == [
        *("0-17", "0-17", "18-39", "40-59", "60-79", "80-129", "", "", "", "")
    ]
    assert subgroups.known("unknown") == subgroups.known("") == "" and subgroups.known(" F ") == "F"


def test_a_small_group_has_a_reason_instead_of_a_metric():
    row = subgroups.Subgroup("sex", "F", 7, 6, *[too_few(3, 4, "images")] * 3)
    assert str(row).split() == [
        "sex",
        "F",
        "7",
        "images,",
        "6",
        "patients:",
        "3",
        "v",
        "4",
        "images;",
        "10",
        "v",
        "10",
        "are",
        "needed",
    ]
