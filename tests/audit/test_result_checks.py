"""Checks of the result: what a metric of so many images can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, RidgeRecipe, checked, extractor_of, outcome_of

from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Run, pooling
from detector.audit.checks import test_set_size as size_of_the_test_set
from detector.training.recipes import TutorialRecipe


@pytest.mark.parametrize(
    ("scores", "status", "words"),
    [
        (lambda truth, noise: noise, WARN, "not shown to be better than chance"),
        (lambda truth, noise: noise - 3 * truth, WARN, "worse than chance"),
        (lambda truth, noise: noise + 3 * truth, PASS, "ROC AUC 0.9"),
    ],
)
def test_chance_warns_if_the_classes_are_not_separated(scores, status, words):
    found = checked(Case((60, 60)), scores)["chance"]
    assert found.status == status and words in found.message
    assert ("swapped" in found.recommendation) == ("worse" in words)
    assert checked(Case((9, 60)), scores)["chance"].status == NOT_ASSESSED


EVERY = "Evaluate every image: python train_covid19.py -d DIR"


def test_the_advised_command_is_the_runs_own_with_more_flags():
    extractor = extractor_of(Case((24, 24)))
    evaluated = replace(outcome_of(extractor, np.full(48, 0.5)), held_out=np.arange(6))
    own = "python train_covid19.py -d 'my data' --recipe probe --input lungs --split image"
    run = Run(extractor, evaluated, {}, TutorialRecipe(), extractor.patients, [], own)
    assert f": {own} --folds 5 --repeats 5, or" in size_of_the_test_set(run).recommendation
    assert f": {own} --pooling global, or" in pooling(run).recommendation


@pytest.mark.parametrize(
    ("images", "tested", "advice"),
    [
        (
            1,
            6,
            f"{EVERY} --folds 5 --repeats 5, or add images of other patients.",
        ),
        (
            6,
            6,
            f"{EVERY} --folds 4 --repeats 5, or add images of other patients.",
        ),
        (24, 6, "Add images of other patients."),
        (1, 48, "Add images of other patients."),
    ],
)
def test_folds_are_advised_where_they_are_possible_and_were_not_used(images, tested, advice):
    extractor = extractor_of(Case((24, 24), images=images))
    evaluated = replace(outcome_of(extractor, np.full(48, 0.5)), held_out=np.arange(tested))
    found = size_of_the_test_set(Run(extractor, evaluated, {}, RidgeRecipe(), extractor.patients, []))
    assert found.status == WARN and found.recommendation == advice
    assert f"with {tested} images of {48 // images} patients" in found.message or images == 24


@pytest.mark.parametrize(
    ("scores", "status", "words"),
    [
        (lambda truth, noise: -1.5 * (noise + 1.5 * truth), WARN, "reversed"),
        (lambda truth, noise: 8 * (noise + truth - 0.5), WARN, "overconfident"),
        (lambda truth, noise: 0.2 * (noise + 3 * truth - 1.5), WARN, "underconfident"),
        (lambda truth, noise: noise + truth - 3.5, WARN, "too low on average"),
        (lambda truth, noise: noise + truth + 2.5, WARN, "too high on average"),
        (lambda truth, noise: 1.0 * (noise + truth - 0.5), PASS, "slope"),
        (lambda truth, noise: 0.1 * (noise - 0.1 * truth), NOT_ASSESSED, "slope"),
        (lambda truth, noise: 9 * truth - 4.5 + 0.01 * noise, NOT_ASSESSED, "no image is ranked wrongly"),
    ],
)
def test_calibration_warns_if_probabilities_are_wrong(scores, status, words):
    found = checked(Case((150, 150)), scores)["calibration"]
    assert found.status == status and words in found.message


def test_the_tutorials_pooling_sees_a_part_only():
    assert checked(Case(), recipe=TutorialRecipe())["pooling"].status == WARN
    assert checked(Case())["pooling"].status == PASS


def test_an_accuracy_that_predicting_the_larger_class_reaches_warns():
    found = checked(Case((10, 90)), lambda truth, noise: noise - 4)["class_balance"]
    assert found.status == WARN and "predicting normal always is right in 0.90" in found.message
    assert checked(Case())["class_balance"].status == PASS
