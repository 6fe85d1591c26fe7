"""Actualmed's collection: the whole table, and what a builder makes of it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from builder_helpers import actualmed_collection, rows_by_file
from builder_helpers import build as built
from conftest import SHARED, needs

from detector.collections.actualmed import Actualmed
from detector.datasets import build
from detector.datasets.build_options import BuildOptions
from detector.files import values
from detector.files.tables import read_table

ERAS = SHARED / "metadata-eras"


@needs(ERAS)
def test_the_counts_of_actualmed_are_those_made_by_hand():
    collection = Actualmed()
    found = [collection.record(row, ERAS) for row in read_table(ERAS / "actualmed.csv", collection.needed, "it")]
    assert Counter(one.finding for one in found) == {"No finding": 127, "COVID-19": 58, "": 53}
    assert Counter(values.view_group(one.view) for one in found) == {"PA": 199, "AP": 39}
    options = BuildOptions(output=Path("covid"), controls_output=Path("other"), view=["frontal"])
    assert [len(one.kept) for one in build.choose(collection, found, options).values()] == [58, 127]


def test_actualmed_has_controls_of_its_own_site(tmp_path):
    actualmed_collection(tmp_path / "clone")
    said = built(tmp_path, "-c", "clone", "-o", "d/covid", "--controls-output", "d/other", "--view", "frontal")
    assert (set(rows_by_file(tmp_path / "d/covid")), set(rows_by_file(tmp_path / "d/other"))) == (
        {"a.png", "e.png"},
        {"b.png", "d.png"},
    )
    assert {row["site"] for row in rows_by_file(tmp_path / "d/covid").values()} == {Actualmed.source}
    assert re.search(r"covid +Actualmed-COVID-chestxray-dataset +AP +1 +1\n", said)
    assert "2 strata (site and view) contain both classes, 4 images" in said
    built(tmp_path, "-c", "clone", "-o", "d/covid", "--controls-output", "d/other", "--view", "ap")
    assert (set(rows_by_file(tmp_path / "d/covid")), set(rows_by_file(tmp_path / "d/other"))) == ({"e.png"}, {"d.png"})
    built(tmp_path, "-c", "clone", "-o", "d/covid", "--view", "ap supine")
    assert set(rows_by_file(tmp_path / "d/covid")) == {"e.png"}
