"""Hannover's collection: its authors' rule, units, and images that Cohen's collection has too."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from builder_helpers import build, cohen_collection, hannover_collection, rows_by_file
from conftest import SHARED, needs
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.collections import hannover

HANNOVER = SHARED / "covid-19-image-repository"


@needs(HANNOVER)
def test_the_real_hannover_images_are_split_by_their_dates(tmp_path):
    said = build(tmp_path, "-c", HANNOVER, "-o", "covid", "--controls-output", "other", "--view", "frontal")
    with open(HANNOVER / "data.csv", newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    positive = {
        f"{row['image_id']}.png" for row in listed if not row["admission_offset"] or float(row["admission_offset"]) < 7
    }
    not_yet = {
        f"{row['image_id']}.png" for row in listed if row["admission_offset"] and float(row["admission_offset"]) > 14
    }
    there = {path.name for path in (HANNOVER / "png").iterdir()}
    assert set(rows_by_file(tmp_path / "covid")) == positive & there
    if not_yet & there:
        assert set(rows_by_file(tmp_path / "other")) == not_yet & there
    assert f"{len(listed)} rows" in said
    assert {row["site"] for row in rows_by_file(tmp_path / "covid").values()} == {"hannover"}


def test_hannover_follows_its_authors_rule_and_units(tmp_path):
    hannover_collection(tmp_path / "clone")
    said = build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other", "--view", "frontal")
    listed = rows_by_file(tmp_path / "covid")
    assert set(listed) == {"aaaaaaaa.png", "bbbbbbbb.png"}
    assert set(rows_by_file(tmp_path / "other")) == {"cccccccc.png"}
    assert "taken 7 to 14 days before admission 1" in said
    first, second = listed["aaaaaaaa.png"], listed["bbbbbbbb.png"]
    assert (first["view"], first["sex"], first["age"], first["offset"]) == ("PA", "M", "61", "3")
    assert (first["neutrophil_count"], first["pO2_saturation"]) == ("4.5", "")
    assert (second["sex"], second["neutrophil_count"], second["went_icu"], second["offset"]) == ("F", "", "Y", "")


@pytest.mark.parametrize("first", ["cohen", "hannover"])
def test_an_image_of_hannover_that_cohen_has_is_kept_once(tmp_path, first):
    hannover_collection(tmp_path / "hannover")
    cohen_collection(
        tmp_path / "cohen",
        "9,COVID-19,PA,X-ray,images,aaaaaaaa.jpg,,https://github.com/ml-workgroup/covid-19-image-repository/tree/m",
        "8,COVID-19,PA,X-ray,images,x.png,,https://www.radiopaedia.org/cases/1",
        images=("images/aaaaaaaa.jpg", "images/x.png"),
    )
    second = "cohen" if first == "hannover" else "hannover"
    build(tmp_path, "-c", first, "-o", "covid", "--view", "frontal")
    said = build(tmp_path, "-c", second, "-o", "covid", "--view", "frontal")
    assert "there already from" in said and "1" in re.search(r"there already from \S+ (\d+)", said)[1]
    listed = rows_by_file(tmp_path / "covid")
    assert sorted(Path(name).stem for name in listed) == ["aaaaaaaa", "bbbbbbbb", "x"]
    assert listed["x.png"]["site"] == "radiopaedia.org"
    assert {row["site"] for name, row in listed.items() if name != "x.png"} == {"hannover"}


@settings(max_examples=100, deadline=None)
@given(st.floats(-60, 60))
def test_the_finding_of_hannover_depends_on_days_since_admission(days):
    finding, unknown = hannover.finding_of(f"{days}")
    assert (finding == "COVID-19") == (days < 7)
    assert (finding == hannover.NOT_YET_POSITIVE) == (days > 14)
    assert bool(unknown) == (7 <= days <= 14)
