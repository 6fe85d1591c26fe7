"""Validity checks: three states, and none passes because nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from audit_helpers import CLASSES, Case, RidgeRecipe, extractor_of

from detector.audit import metrics, validity
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check, Run
from detector.statistics.evaluation import Predictions, evaluate, predict
from detector.training.evaluation_result import Outcome
from detector.training.recipes import TutorialRecipe


def checked(case: Case, scores=None, recipe=None):
    """Run every check on all images of a case, with scores of a single model."""
    extractor = extractor_of(case)
    labels, everything = extractor.dataset.labels, np.arange(len(extractor.properties))
    noise = np.random.default_rng(0).normal(size=len(labels))
    positive = 1 / (1 + np.exp(-(2 * noise if scores is None else scores(labels == 0, noise))))
    said = np.stack([positive, 1 - positive], axis=1)
    predictions = Predictions.of_one_model(labels, extractor.patients, said, predict(said, 0))
    outcome = Outcome(None, evaluate(predictions, CLASSES, 0), predictions, None, [], everything[:0], everything)
    found = metrics.compute_metrics(extractor, outcome, metrics.Setting(0, 0))
    run = Run(extractor, outcome, found, recipe or RidgeRecipe(), 0, extractor.patients, 0)
    return {one.id: one for one in validity.run_checks(run)}


def known(**values):
    return lambda positive, number: {name: value(positive, number) for name, value in values.items()}


@pytest.mark.parametrize(
    ("scores", "status", "words"),
    [
        (lambda truth, noise: noise, WARN, "not better than chance"),
        (lambda truth, noise: noise - 3 * truth, WARN, "worse than chance"),
        (lambda truth, noise: noise + 3 * truth, PASS, "ROC AUC 0.9"),
    ],
)
def test_chance(scores, status, words):
    found = checked(Case((60, 60)), scores)["chance"]
    assert found.status == status and words in found.message
    assert ("swapped" in found.recommendation) == ("worse" in words)
    assert checked(Case((9, 60)), scores)["chance"].status == NOT_ASSESSED


@pytest.mark.parametrize(
    ("scores", "status", "words"),
    [
        (lambda truth, noise: -1.5 * (noise + 1.5 * truth), WARN, "reversed"),
        (lambda truth, noise: 8 * (noise + truth - 0.5), WARN, "overconfident"),
        (lambda truth, noise: 0.2 * (noise + 3 * truth - 1.5), WARN, "underconfident"),
        (lambda truth, noise: noise + truth - 3.5, WARN, "too low on average"),
        (lambda truth, noise: noise + truth + 2.5, WARN, "too high on average"),
        (lambda truth, noise: 1.0 * (noise + truth - 0.5), PASS, "slope"),
        (lambda truth, noise: 9 * truth - 4.5 + 0.01 * noise, NOT_ASSESSED, "no image is ranked wrongly"),
    ],
)
def test_calibration(scores, status, words):
    found = checked(Case((150, 150)), scores)["calibration"]
    assert found.status == status and words in found.message


def test_what_is_not_known_is_not_assessed():
    found = checked(Case(site=lambda positive, number: ""))
    for name in ("site_and_view", "views", "age_groups", "border_adjusted"):
        assert found[name].status == NOT_ASSESSED, found[name]
    half = Case(row=known(view=lambda positive, number: "PA" if positive else "", age=lambda positive, number: "nan"))
    assert checked(half)["views"].status == checked(half)["age_groups"].status == NOT_ASSESSED


def test_what_is_known_is_assessed():
    fine = Case(row=known(view=lambda positive, number: "PA", age=lambda positive, number: "50"))
    found = checked(fine)
    assert {found[name].status for name in ("views", "age_groups", "site_and_view", "duplicates")} == {PASS}
    assert "0.50 (" in found["site_and_view"].message
    bad = Case(
        row=known(
            view=lambda positive, number: "AP" if positive else "PA",
            age=lambda positive, number: "5" if positive else "50",
        ),
        site=lambda positive, number: "ab"[positive],
    )
    found = checked(bad)
    assert {found[name].status for name in ("views", "age_groups", "site_and_view")} == {WARN}
    assert all(found[name].recommendation for name in ("views", "age_groups", "site_and_view"))


def test_the_border_warns_where_it_predicts_the_class():
    assert checked(Case((40, 40)))["image_border"].status == PASS
    marked = Case((40, 40), border=lambda positive, number, noise: noise + 4 * positive)
    assert checked(marked)["image_border"].status == WARN


def test_the_tutorials_pooling_sees_a_part_only():
    assert checked(Case(), recipe=TutorialRecipe())["pooled_area"].status == WARN
    assert checked(Case())["pooled_area"].status == PASS


def test_an_accuracy_that_predicting_the_larger_class_reaches_warns():
    found = checked(Case((10, 90)), lambda truth, noise: noise - 4)["class_balance"]
    assert found.status == WARN and "predicting normal always is right in 0.90" in found.message
    assert checked(Case())["class_balance"].status == PASS


def test_the_worst_come_first():
    chosen = [Check("a", PASS, ""), Check("b", NOT_ASSESSED, ""), Check("c", WARN, ""), Check("d", PASS, "")]
    assert [one.id for one in validity.worst_first(chosen)] == ["c", "b", "a", "d"]
    assert str(Check("site_and_view", NOT_ASSESSED, "unknown")) == "n/a   site and view       unknown"
