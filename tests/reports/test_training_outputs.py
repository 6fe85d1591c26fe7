"""What a training run prints: names, references and lines of at most 80 columns."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, outcome_of

from detector.audit import subgroups
from detector.audit.checks import PASS, WARN, Check
from detector.reports import metric_names, run_record, training_report
from detector.reports.training_report import TrainingResult
from detector.statistics.metric import Metric
from detector.training.crossvalidation import LeftOutSite
from detector.training.options import EvaluationOptions


def result(case: Case, **options: object) -> TrainingResult:
    """Return the result of a run whose probabilities are noise."""
    extractor = extractor_of(case)
    evaluated = outcome_of(extractor, np.random.default_rng(0).random(len(extractor.properties)))
    found = {
        "average_precision": Metric(0.6, 0.41, 0.77, 24, 24),
        "border_baseline": Metric.unavailable("9 v 30 images; at least 10 v 10 needed", 9, 30),
    }
    table = subgroups.subgroups(extractor, evaluated, 0)
    order, evaluation = np.arange(3), EvaluationOptions(**options)
    return TrainingResult(extractor, evaluated, found, table, [], [], order, [], evaluation, {}, {})


def test_a_metric_is_a_line_with_its_interval_or_its_reason():
    run = result(Case())
    assert training_report.metric_lines("average_precision", run.metrics["average_precision"], run) == [
        "average precision          0.60   0.41–0.77      no skill: 0.50"
    ]
    assert training_report.metric_lines("border_baseline", run.metrics["border_baseline"], run) == [
        "border-only baseline        n/a   9 v 30 images; at least 10 v 10 needed"
    ]


def test_a_long_reason_goes_on_below_its_beginning():
    reason = "separated perfectly, so that no slope can be computed from these images, whatever their number"
    lines = training_report.metric_lines("calibration_slope", Metric.unavailable(reason, 20, 20), result(Case()))
    assert len(lines) > 1 and all(len(line) <= 80 for line in lines)
    assert " ".join(" ".join(lines).split()) == f"calibration slope n/a {reason}"


def test_a_site_that_is_left_out_is_a_line_of_at_most_80_columns():
    few = Metric.unavailable("3 v 30 images; at least 10 v 10 needed", 3, 30)
    left_out = [
        LeftOutSite(
            "Hannover", Metric(0.81, 0.61, 0.91, 20, 30), Metric(0.7, 0.5, 0.9, 20, 0), Metric(0.8, 0.6, 0.9, 0, 30)
        ),
        LeftOutSite("Vienna", few, few, few),
    ]
    written = json.loads(run_record.as_json({"sites_left_out": left_out}))["sites_left_out"]
    assert [one["site"] for one in written] == ["Hannover", "Vienna"] and "source" not in written[0]
    lines = training_report.left_out_lines(left_out)
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].split() == ["Hannover", "0.81", "(0.61–0.91)", "0.70", "(0.50–0.90)", "0.80", "(0.60–0.90)"]
    assert lines[4].split() == ["Vienna", "n/a", "n/a", "n/a"] and lines[5] == f"    n/a: {few.reason}"
    assert training_report.left_out_lines([]) == []


def test_the_tutorials_lines_come_before_the_metrics_and_none_is_too_long():
    lines = training_report.lines(result(Case()))
    start = next(at for at, line in enumerate(lines) if line.startswith("metric  "))
    assert next(at for at, line in enumerate(lines) if line.startswith("acc: ")) < start
    assert [line[:25].strip() for line in lines[start + 1 : start + 4]] == [
        *("ROC AUC", "average precision", "border-only baseline")
    ]
    assert all(len(line) <= 80 for text in lines for line in text.splitlines())


def test_a_model_card_counts_the_images_that_the_model_was_trained_on():
    found = result(Case((24, 24), images=2))
    train = np.r_[0:10, 24:30]
    found = replace(found, evaluated=replace(found.evaluated, train=train))
    labels, patients = found.extractor.dataset.labels, found.extractor.patients
    for index, one in enumerate(training_report.summary(found).classes):
        own = [row for row in train if labels[row] == index]
        assert (one.images, one.patients) == (len(own), len(set(patients[own])))


def test_the_matrix_of_the_first_repeat_is_named_so():
    run = result(Case())
    once = run.evaluated.predictions
    stacked = {name: np.repeat(getattr(once, name), 3, axis=0) for name in ("probabilities", "predicted", "folds")}
    run = replace(run, evaluated=replace(run.evaluated, predictions=replace(once, **stacked)))
    assert training_report.lines(run)[0].endswith("of the first of 3 repeats:")
    assert "repeats" not in training_report.lines(result(Case()))[0]


def test_the_test_set_is_named_with_its_images_and_patients():
    assert result(Case((4, 4), images=2)).title == "Test set: 8 images from 4 patients"
    assert result(Case((4, 4)), folds=5).title == "5-fold cross-validation: 8 images from 8 patients"
    assert list(result(Case((4, 4)), folds=5).sides) == ["all"]
    assert list(result(Case((4, 4))).sides) == ["training", "test"]


def test_subgroups_are_a_table_if_there_are_several():
    row = lambda positive, number: {"sex": "MF"[number % 2]}  # noqa: E731
    table = training_report.subgroup_lines(result(Case((24, 24), row=row)).subgroups)
    assert table[1].split()[:2] == ["Subgroups", "images"]
    assert {line.split()[0] for line in table[2:]} == {"sex"} and len(table) == 4


def test_subgroups_of_long_names_stay_a_table_and_say_why_they_have_no_metric():
    row = lambda positive, number: {"sex": "MF"[number % 2] * (1 + 30 * (number % 2))}  # noqa: E731
    table = training_report.subgroup_lines(result(Case((8, 8), row=row)).subgroups)
    assert len({len(line) for line in table[1:4]}) == 1 and max(map(len, table)) <= 80
    assert table[4] == "  n/a: fewer than 10 images of a class"
    assert training_report.subgroup_lines(result(Case()).subgroups) == []


def test_checks_are_lines_and_mark_warnings():
    found = training_report.check_lines([Check("chance", PASS, "fine"), Check("views", WARN, "apart", "Fix.")])
    assert [warns for _, warns in found] == [False, True, True]
    assert found[0][0].split() == ["pass", "chance", "fine"]


LONG = "slope 1.48 (1.13-2.07), in the large 0.47 (0.25-0.72): probabilities are underconfident and too low on average"


def test_what_to_do_stands_below_a_warning():
    found = training_report.check_lines([Check("views", WARN, "apart", "Build with --view PA.")])
    assert [line.split(maxsplit=1)[0] for line, _ in found] == ["warn", "->"]
    assert found[1] == (" " * 28 + "-> Build with --view PA.", True)
    assert len(training_report.check_lines([Check("views", PASS, "alike", "Nothing.")])) == 1


@pytest.mark.parametrize(
    ("patient", "shown"),
    [("phantom/phantom-00018", "phantom-00018"), ("7", "7"), ("nih/" + "a" * 40, "aaaaaaaaaaaa…"), ("x/", "x/")],
)
def test_patients_are_named_by_what_differs(patient, shown):
    assert run_record.short(patient) == shown


def test_a_long_finding_goes_on_below_its_beginning():
    checks = [Check("calibration", WARN, LONG), Check("views", PASS, "covid 60 PA; normal 60 PA")]
    found = training_report.check_lines(checks)
    lines = [line for line, _ in found]
    assert len(lines) == 4 and max(map(len, lines)) <= 80
    start = lines[0].index("slope")
    assert [line[:start].strip() for line in lines[1:3]] == ["", ""]
    assert " ".join(line[start:].strip() for line in lines[:3]) == LONG
    assert [warns for _, warns in found] == [True, True, True, False]


def test_every_metric_has_one_name_that_fits_the_terminal():
    groups = [words for _, members in metric_names.GROUPS for words in members.values()]
    assert groups == list(metric_names.NAMES.values())
    assert len({words.name for words in groups}) == len(groups)
    values = metric_names.references(0.25, 0.75, 0.02)
    for words in groups:
        assert len(words.name) <= 24
        assert len(f"{words.name:<25}{'':>6}   {'-2.23 to 4.62':<12}  {words.beside(values)}") <= 80
    assert metric_names.NAMES["brier_score"].beside(values) == "no skill: 0.19"
    assert metric_names.NAMES["accuracy"].beside(values) == "majority class: 0.75"
