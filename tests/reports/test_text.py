"""Words and tables."""

from __future__ import annotations

from detector.audit.checks import PASS, WARN, Check
from detector.reports import text
from detector.statistics.metric import Metric

SHARES = {"prevalence": 0.25, "no_skill": 0.1875, "majority": 0.75, "at": 0.02}
LONG = "slope 1.48 (1.13–2.07), in the large 0.47 (0.25–0.72): probabilities are underconfident and too low on average"


def test_every_metric_has_one_name_that_fits_the_terminal():
    assert len({words.name for words in text.NAMES.values()}) == len(text.NAMES)
    metric = Metric(-1.5, -2.23, 4.62, 20, 20)
    rows = [[words.name, *text.metric_cells(metric, words.beside(SHARES))] for words in text.NAMES.values()]
    assert len(text.table(rows)) == len(rows) and max(map(len, text.table(rows))) <= 80
    assert text.NAMES["brier_score"].beside(SHARES) == "no skill: 0.19"
    assert text.NAMES["accuracy"].beside(SHARES) == "majority class: 0.75"


def test_a_table_wraps_its_last_column_and_spans_lines_of_one_cell():
    rows = [["metric", "value", "95 % CI"], ["ROC AUC", "0.60", "0.41–0.77"], ["  a note"], ["slope", "n/a", LONG]]
    lines = text.table(rows)
    assert lines[:3] == ["metric   value  95 % CI", "ROC AUC  0.60   0.41–0.77", "  a note"]
    assert max(map(len, lines)) <= 80 and all(line.startswith(" " * 16) for line in lines[4:])
    assert " ".join(" ".join(lines[3:]).split()) == f"slope n/a {LONG}"
    assert text.table([["a", LONG]], whole=True) == [f"a  {LONG}"]
    assert text.table([["\x1b[1m", "b"]])[0].isprintable()


def test_metrics_of_a_table_are_printed_with_the_reasons_why_there_are_none_below():
    few, one = Metric.unavailable("too few images (3 and 9; 10 of each needed)"), Metric(0.6, 0.41, 0.77, 24, 24)
    rows = [["a", one, 24], ["b", few, 12], ["c", few, 3]]
    found = text.Table("group", ["ROC AUC", "images"], rows, ["a note"]).lines()
    assert [line.split("  ")[0] for line in found] == ["", "group", "a", "b", "c", "", ""]
    assert found[2].split() == ["a", "0.60", "(0.41–0.77)", "24"] and found[3].split() == ["b", "n/a", "12"]
    assert found[5:] == ["  n/a: too few images", "  a note"]
    assert text.Table("group", ["ROC AUC"], []).lines() == []
    assert text.metric_cells(one, "chance") == ["0.60", "0.41–0.77", "chance"]
    assert text.metric_cells(few, "chance") == ["n/a", few.reason]


def test_checks_that_warn_are_lines_and_the_others_are_counted():
    checks = [Check("chance", PASS, "fine"), Check("views", WARN, LONG, "Build with --view PA.")]
    found = text.check_lines([*checks, Check("ages", "not_assessed", "unknown", "Nothing.")])
    assert found[:2] == ["Validity checks", "  3 checks: 1 warn, 1 pass, 1 not assessed"]
    assert found[2].split()[:2] == ["views", "slope"] and "PA" not in found[-1]
    assert max(map(len, found)) <= 80 and not any("fine" in line or "Nothing" in line for line in found)
