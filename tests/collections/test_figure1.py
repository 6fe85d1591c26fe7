"""Figure 1's collection: the whole table, and what a builder makes of it."""

from __future__ import annotations

import csv
import re
from collections import Counter

from builder_helpers import build, figure1_collection, rows_by_file
from conftest import SHARED, needs

from detector.collections import figure1
from detector.files.tables import read_table

ERAS = SHARED / "metadata-eras"


@needs(ERAS)
def test_the_counts_of_figure1_are_those_made_by_hand():
    collection = figure1.Figure1()
    found = [collection.record(row, ERAS) for row in read_table(ERAS / "figure1.csv", collection.needed, "it")]
    with open(ERAS / "figure1.csv", newline="", encoding="cp1252") as file:
        by_hand = list(csv.DictReader(file))
    assert len(found) == len(by_hand) == 55
    assert {one.filename for one in found} == {f"{row['patientid']}.jpg" for row in by_hand}
    assert Counter(one.finding for one in found) == Counter(row["finding"] for row in by_hand)
    assert len({one.patient for one in found}) == len({re.sub(r"[a-z]$", "", row["patientid"]) for row in by_hand})


def test_figure1_has_files_of_any_suffix_and_patients_by_number(tmp_path):
    figure1_collection(tmp_path / "clone")
    build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other")
    listed = rows_by_file(tmp_path / "covid")
    assert {name: row["patient"] for name, row in listed.items()} == {
        "COVID-00001.jpg": "COVID-00001",
        "COVID-00003a.png": "COVID-00003",
        "COVID-00003b.jpeg": "COVID-00003",
    }
    assert (listed["COVID-00001.jpg"]["age"], listed["COVID-00001.jpg"]["sex"]) == ("50", "F")
    assert set(rows_by_file(tmp_path / "other")) == {"NORMAL-00004.jpg"}
