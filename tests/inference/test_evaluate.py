"""Tables of predictions as other programs write them: the same numbers in other words, and what cannot be meant."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from conftest import rejection

from detector.inference.evaluate import read_predictions

CLASSES = ["covid", "normal"]
FILES = [f"{label}/{number}.png" for label in CLASSES for number in range(6)]
SCORES = np.random.default_rng(4).uniform(0.05, 0.95, len(FILES)).round(4)


def read(folder, heading, rows, files=FILES, classes=CLASSES, **options):
    """Write a table, and read it."""
    with open(folder / "p.csv", "w", newline="") as file:
        csv.writer(file).writerows([heading, *rows])
    return read_predictions(folder / "p.csv", files, classes, "--predictions", **options)


def test_the_same_numbers_in_other_words_are_the_same(tmp_path):
    logits = np.log(SCORES / (1 - SCORES))
    each, of_logits = [*zip(FILES, SCORES, strict=True)], [*zip(FILES, logits, strict=True)]
    for heading, rows, options in (
        (["file", "p(covid)"], each, {}),
        (["File", "P(COVID)", "covid"], [(name, p, 1) for name, p in each], {}),
        (["Image Index", "normal", "covid"], [(name, 1 - p, p) for name, p in each], {}),
        (["path", "p(normal)"], [(f"/x/d/{name}", 1 - p) for name, p in each], {}),
        (["path", "p(normal)"], [(f"d\\{name}".replace("/", "\\"), 1 - p) for name, p in each], {}),
        (["file", "covid"], of_logits, {"logits": True}),
        (["file", "covid", "normal"], [(name, x + 3, 3) for name, x in of_logits], {"logits": True}),
        (["file", "covid"], [(name, p + d) for name, p in each for d in (1e-9, -1e-9)], {"mean": True}),
        (["file", "covid"], [(name, f"{p}".replace(".", ",")) for name, p in each], {}),
    ):
        found = read(tmp_path, heading, rows, **options)
        assert found.files == FILES and found.unused == found.notes == [] and found.decisions is None
        assert found.probabilities == pytest.approx(np.stack([SCORES, 1 - SCORES], 1), abs=1e-9), heading


def test_a_column_of_thresholds_and_one_of_classes_are_read(tmp_path):
    rows = [(name, "Normal", p, 0.4) for name, p in zip(FILES, SCORES, strict=True)]
    found = read(tmp_path, ["file", "prediction", "covid", "threshold"], rows)
    assert found.threshold == 0.4 and found.decisions.tolist() == [1] * 12
    # Of a program whose "prediction" is its score, with the probabilities beside.
    found = read(tmp_path, ["file", "prediction", "covid"], [(name, p, p) for name, _, p, _ in rows])
    assert found.decisions is None and found.threshold is None


def test_a_row_of_another_class_is_no_namesakes(tmp_path):
    rows = [("normal/0.png", 0.2), ("d/covid/0.png", 0.9), ("normal/9.png", 0.1), ("elsewhere/normal/5.jpg", 0.3)]
    found = read(tmp_path, ["file", "covid"], rows)
    assert found.files == ["covid/0.png", "normal/0.png", "normal/5.png"] and found.unused == ["normal/9.png"]
    covid = [name for name in FILES if name != "normal/0.png"]
    with rejection("give more of its path"):
        read(tmp_path, ["file", "covid"], [("normal/0.png", 0.2), ("1.png", 0.3)], covid)


EACH = [*zip(FILES, SCORES.tolist(), strict=True)]


def third(cell):
    """Return rows of which the third has another cell."""
    return [(name, cell if row == 2 else p) for row, (name, p) in enumerate(EACH)]


@pytest.mark.parametrize(
    ("heading", "rows", "words"),
    [
        (["file", "covid"], [(f"x-{number}.png", p) for number, (_, p) in enumerate(EACH)], "another folder"),
        (["file", "covid", "normal"], [(name, p, p) for name, p in EACH], "add up to"),
        (["file", "p(tb)"], EACH, r"p\(tb\) is of no class of the folder"),
        (["file", "score"], EACH, r"name a column p\(covid\)"),
        (["name", "covid"], EACH, "has no column file"),
        (["file", "covid"], [], "a heading but no rows"),
        (["file", "covid"], third("nan"), "line 4: covid is nan"),
        (["file", "covid"], third(""), "line 4: covid is empty"),
        (["file", "covid"], third("93 %"), "without the percent sign"),
        (["file", "covid"], [(name, 100 * p) for name, p in EACH], "divide percentages by 100"),
        (["file", "covid"], [(name, 9 * p - 4) for name, p in EACH], "give --logits"),
        (["file", "covid"], [*EACH, ("file", "covid")], "is the heading again"),
        (["file", "covid", "covid"], [(name, p, p) for name, p in EACH], "the column covid twice"),
        (["file", "covid"], [(name, round(p)) for name, p in EACH], "these are labels, not probabilities"),
        (["file", "covid"], [*EACH, (FILES[0], 0.2)], "--mean averages them"),
        (["file", "prediction"], EACH, "name classes there"),
        (["file", "covid"], third(1.00001), "has 1.00001, no probability"),
        (["file", "covid"], [(name, 0, 93) for name in FILES], "more cells than the heading"),
    ],
)
def test_a_table_that_cannot_be_meant_is_rejected(tmp_path, heading, rows, words):
    with rejection(words):
        read(tmp_path, heading, rows)


def test_probabilities_are_no_logits_and_may_exceed_one_by_rounding(tmp_path):
    with rejection("as probabilities are; leave --logits out"):
        read(tmp_path, ["file", "covid"], EACH, logits=True)
    found = read(tmp_path, ["file", "covid"], [(FILES[0], 1.0000001), (FILES[1], 0.3)])
    assert found.probabilities.tolist() == [[1.0, 0.0], [0.3, 0.7]]


def test_classes_of_several_rows_cannot_be_averaged_and_three_classes_need_three_columns(tmp_path):
    with rejection("classes cannot be averaged"):
        read(tmp_path, ["file", "prediction"], [(FILES[0], "covid"), (FILES[0], "normal")], mean=True)
    with rejection("has no probabilities of pneumonia"):
        read(tmp_path, ["file", "covid", "normal"], [(FILES[0], 0.5, 0.5)], classes=[*CLASSES, "pneumonia"])
