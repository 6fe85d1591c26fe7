"""What a training run prints, keeps and reports."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, outcome_of

from detector.audit.checks import Check, Judgement, verdict
from detector.audit.metrics import subgroups
from detector.reports import run_record, training_report
from detector.reports.training_report import TrainingResult
from detector.statistics.evaluation import Predictions, evaluate
from detector.statistics.metric import Metric
from detector.training.crossvalidation import RecipeComparison
from detector.training.options import EvaluationOptions

FEW = Metric.unavailable("too few images (9 and 30; 10 of each needed)", 9, 30)


def result(case: Case, **options: object) -> TrainingResult:
    """Return the result of a run whose probabilities are noise."""
    extractor = extractor_of(case)
    evaluated = outcome_of(extractor, np.random.default_rng(0).random(len(extractor.properties)))
    found = {"average_precision": Metric(0.6, 0.41, 0.77, 24, 24), "border_baseline": FEW}
    table = subgroups(extractor, evaluated)
    order, evaluation = np.arange(3), EvaluationOptions(**options)
    checks = [Check("chance", "warn", "found", "Add images.")]
    worth = Judgement(found, checks, table, verdict(evaluated.evaluation, found, checks))
    return TrainingResult(extractor, evaluated, worth, order, [], evaluation, {}, {})


def test_the_tutorials_lines_come_before_the_metrics_and_none_is_too_long():
    lines = training_report.lines(result(Case()))
    start = next(at for at, line in enumerate(lines) if line.startswith("metric  "))
    assert next(at for at, line in enumerate(lines) if line.startswith("acc: ")) < start
    assert [line[:20].strip() for line in lines[start + 1 : start + 4]] == [
        *("ROC AUC", "average precision", "border-only baseline")
    ]
    assert lines[start + 2].split() == ["average", "precision", "0.60", "0.41–0.77", "no", "skill:", "0.50"]
    assert all(len(line) <= 80 for text in lines for line in text.splitlines())
    assert any(line.endswith("metrics of covid v normal") for line in lines)


def test_no_skill_is_a_constant_at_the_frequency_at_which_the_classes_count():
    run = result(Case((10, 30)))
    assert run.shares == {"prevalence": 0.25, "no_skill": 0.25, "majority": 0.75, "at": None}
    assert replace(run, settings={"class_weight": "none"}).shares["no_skill"] == 0.1875


def test_each_of_three_classes_has_its_metrics():
    run = result(Case((24, 24)))
    labels = np.repeat([0, 1, 2], 16)
    said = np.eye(3)[labels] * 0.4 + 0.2
    predictions = Predictions.of_one_model(labels, run.evaluated.predictions.patients, said, labels)
    evaluation = evaluate(predictions, ["covid", "normal", "pneumonia"], 0)
    run = replace(run, evaluated=replace(run.evaluated, predictions=predictions, evaluation=evaluation))
    lines = training_report.lines(run)
    assert any(line.endswith("metrics of covid v others") for line in lines)
    start = lines.index(next(line for line in lines if line.startswith("Each class v others")))
    assert [line.split()[0] for line in lines[start + 1 : start + 4]] == ["covid", "normal", "pneumonia"]
    assert lines[start + 2].split()[1] == "1.00" and max(map(len, lines[start : start + 4])) <= 80
    assert result(Case()).per_class == {}


@pytest.mark.parametrize(
    ("difference", "text", "clear"),
    [
        (Metric(0.06, 0.01, 0.11, 50, 50), "+0.06 (0.01–0.11)", True),
        (Metric(-0.1, -0.17, -0.04, 50, 50), "-0.10 (-0.17 to -0.04)", True),
        (Metric(0.02, 0.0, 0.05, 50, 50), "+0.02 (0.00–0.05)", False),
        (FEW, f"not estimable ({FEW.reason})", False),
    ],
)
def test_a_difference_in_words(difference, text, clear):
    area = Metric(0.8, 0.7, 0.9, 50, 50)
    compared = RecipeComparison("probe:lungs", "tutorial:tutorial", area, area, difference)
    found = training_report.comparison_table(compared)
    assert [row[0] for row in found.rows] == ["linear probe (lungs)", "tutorial"]
    rest = f". {training_report.UNCLEAR}" if difference.available and not clear else ""
    assert found.notes == [f"linear probe (lungs) minus tutorial: {text}{rest}"]


def test_sites_that_are_left_out_are_a_table_of_80_columns():
    areas = Metric(0.81, 0.61, 0.91, 20, 30), Metric(0.7, 0.5, 0.9, 20, 0), Metric(0.8, 0.6, 0.9, 0, 30)
    run = result(Case())
    found = dict(zip(("roc_auc", "sensitivity", "specificity"), areas, strict=True))
    hannover = replace(run.evaluated.evaluation, **found)
    run = replace(run, left_out={"Hannover": hannover, "Vienna": replace(hannover, **dict.fromkeys(found, FEW))})
    assert training_report.record(run)["sites_left_out"][0] == {"site": "Hannover"} | found
    lines = training_report.lines(run)[-4:]
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].split() == ["Hannover", "0.70", "(0.50–0.90)", "0.80", "(0.60–0.90)", "0.81", "(0.61–0.91)"]
    assert lines[2].split() == ["Vienna", "n/a", "n/a", "n/a"] and lines[3] == "  n/a: too few images"


@pytest.mark.parametrize(("sexes", "count", "rows"), [("MF", 24, 2), ("MF", 8, 2), ("M", 24, 0)])
def test_subgroups_are_a_table_if_there_are_several(sexes, count, rows):
    row = lambda positive, number: {"sex": sexes[number % len(sexes)]}  # noqa: E731
    lines = training_report.lines(result(Case((count, count), row=row)))
    assert len([line for line in lines if line.startswith("sex ")]) == rows
    assert ("  n/a: too few images" in lines) == (count == 8)


def test_the_test_set_is_named_with_its_images_and_patients():
    tested, crossed = result(Case((4, 4), images=2)), result(Case((4, 4)), folds=5)
    assert (tested.title, list(tested.sides)) == ("Test set: 8 images from 4 patients", ["test"])
    assert (crossed.title, list(crossed.sides)) == ("5-fold cross-validation: 8 images from 8 patients", ["all"])
    trained = replace(tested, evaluated=replace(tested.evaluated, train=np.arange(4)))
    assert list(trained.sides) == ["training", "test"]


def test_the_model_keeps_what_it_was_trained_on_and_the_conclusion():
    run = result(Case((24, 24), images=2), folds=5)
    run = replace(run, evaluated=replace(run.evaluated, train=np.r_[0:10, 24:30]))
    kept = training_report.summary(run)
    assert [(one.images, one.patients) for one in kept.classes] == [(10, 5), (6, 3)]
    written = json.loads(run_record.as_json({"conclusion": run.worth.conclusion}))["conclusion"]
    assert written["code"] == "no_signal" and "is compatible with guessing" in written["message"]
    assert kept.conclusion == written["for_use"]
