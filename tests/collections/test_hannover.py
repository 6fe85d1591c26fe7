"""Hannover's collection: its authors' rule, units, and images that Cohen's collection has too."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder_helpers import build, cohen, collection, rows

from detector.collections import hannover

TABLE = """patient_id,image_id,sex,age,admission_offset,death_offset,icu_admission_offset,projection,\
neutrophils_offset,neutrophils_val,pO2_offset,pO2_val
p1,aaaaaaaa,m,61,-3.0,,,pa,0.0,4.5,0.0,80.0
p2,bbbbbbbb,w,40,,,2.0,AP,0.0,inf,,
p3,cccccccc,m,70,20.0,,,pa,,,,
p4,dddddddd,f,55,9.0,12.0,,pa,1.0,2.5,,
"""


def local_copy(folder: Path) -> None:
    collection(folder, "data.csv", TABLE, *(f"png/{name * 8}.png" for name in "abcd"))


def test_hannover_follows_its_authors_rule_and_units(tmp_path):
    local_copy(tmp_path / "clone")
    said = build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other", "--view", "frontal")
    listed = rows(tmp_path / "covid")
    assert (set(listed), set(rows(tmp_path / "other"))) == ({"aaaaaaaa.png", "bbbbbbbb.png"}, {"cccccccc.png"})
    assert "taken 7 to 14 days before admission 1" in said
    first, second = listed["aaaaaaaa.png"], listed["bbbbbbbb.png"]
    assert (first["view"], first["sex"], first["age"], first["offset"]) == ("PA", "M", "61", "3")
    assert (first["neutrophil_count"], first["pO2_saturation"]) == ("4.5", "")
    assert (second["sex"], second["neutrophil_count"], second["went_icu"], second["offset"]) == ("F", "", "Y", "")


@pytest.mark.parametrize(("first", "second"), [("cohen", "hannover"), ("hannover", "cohen")])
def test_an_image_of_hannover_that_cohen_has_is_kept_once(tmp_path, first, second):
    local_copy(tmp_path / "hannover")
    cohen(
        tmp_path / "cohen",
        "9,COVID-19,PA,X-ray,images,aaaaaaaa.jpg,,https://github.com/ml-workgroup/covid-19-image-repository/tree/m",
        "8,COVID-19,PA,X-ray,images,x.png,,https://www.radiopaedia.org/cases/1",
        images="aaaaaaaa.jpg x.png",
    )
    build(tmp_path, "-c", first, "-o", "covid", "--view", "frontal")
    said = build(tmp_path, "-c", second, "-o", "covid", "--view", "frontal")
    source = {"cohen": "covid-chestxray-dataset", "hannover": "covid-19-image-repository"}[first]
    assert f"(there already from {source} 1" in said or f", there already from {source} 1" in said
    sites = {Path(name).stem: row["site"] for name, row in rows(tmp_path / "covid").items()}
    assert sites == {"aaaaaaaa": "hannover", "bbbbbbbb": "hannover", "x": "radiopaedia.org"}


@pytest.mark.parametrize(
    ("days", "finding", "known"),
    [
        *((days, "COVID-19", True) for days in (None, -60, 6.9)),
        *((days, "", False) for days in (7, 14)),
        *((days, "No COVID-19 yet", True) for days in (14.1, 60)),
    ],
)
def test_the_finding_of_hannover_depends_on_days_since_admission(days, finding, known):
    found, unknown = hannover.finding_of(days)
    assert (found, not unknown) == (finding, known)
