"""Actualmed's collection: the whole table, and what a builder makes of it."""

from __future__ import annotations

import re
from collections import Counter

from builder_helpers import actualmed_collection, build, rows_by_file
from conftest import SHARED, needs

from detector.collections import actualmed, record
from detector.datasets import selection
from detector.files import tables, values

ERAS = SHARED / "metadata-eras"


@needs(ERAS)
def test_the_counts_of_actualmed_are_those_made_by_hand():
    found = list(actualmed.entries(tables.read_table(ERAS / "actualmed.csv", actualmed.NEEDED, actualmed.SOURCE)))
    assert Counter(one.finding for one in found) == {"No finding": 127, "COVID-19": 58, "": 53}
    assert Counter(values.view_group(one.view) for one in found) == {"PA": 199, "AP": 39}
    positive = selection.select(found, lambda text: record.names_finding(text, "COVID-19"), ["frontal"])
    controls = selection.select(found, lambda text: record.is_control(text, "COVID-19"), ["frontal"])
    assert (len(positive.kept), len(controls.kept)) == (58, 127)


def test_actualmed_has_controls_of_its_own_site(tmp_path):
    actualmed_collection(tmp_path / "clone")
    said = build(tmp_path, "-c", "clone", "-o", "d/covid", "--controls-output", "d/other", "--view", "frontal")
    assert (set(rows_by_file(tmp_path / "d/covid")), set(rows_by_file(tmp_path / "d/other"))) == (
        {"a.png", "e.png"},
        {"b.png", "d.png"},
    )
    assert {row["site"] for row in rows_by_file(tmp_path / "d/covid").values()} == {actualmed.SOURCE}
    assert re.search(r"covid +Actualmed-COVID-chestxray-dataset +AP +1 +1\n", said)
    assert "2 strata (site and view) contain both classes, 4 images" in said
    build(tmp_path, "-c", "clone", "-o", "d/covid", "--controls-output", "d/other", "--view", "ap")
    assert (set(rows_by_file(tmp_path / "d/covid")), set(rows_by_file(tmp_path / "d/other"))) == ({"e.png"}, {"d.png"})
    build(tmp_path, "-c", "clone", "-o", "d/covid", "--view", "ap supine")
    assert set(rows_by_file(tmp_path / "d/covid")) == {"e.png"}
