"""Validity checks: a warning if something else than the disease predicts the class, or the result shows little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, checked, extractor_of, known, outcome_of

from detector.audit.checks import (
    CHECKS,
    NOT_ASSESSED,
    PASS,
    WARN,
    Check,
    Run,
    baseline_check,
    border_adjusted,
    chance,
    duplicates,
    image_border,
    in_two_classes,
    pooling_note,
    precision,
    predicted_classes,
    worst_first,
)
from detector.audit.evidence import BEYOND_BORDER, BORDER, BORDER_ADJUSTED
from detector.images.duplicates import Copy
from detector.statistics.metric import Metric, too_few
from detector.training.dataset import ImplausibleImage
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def run_of(case: Case, positive, metrics=None) -> Run:
    extractor = extractor_of(case)
    return Run(extractor, outcome_of(extractor, positive), metrics or {}, extractor.patients, [])


def test_warnings_come_first_and_each_check_says_when_it_warns():
    chosen = [Check("a", PASS, ""), Check("b", NOT_ASSESSED, ""), Check("c", WARN, ""), Check("d", PASS, "")]
    assert [one.id for one in worst_first(chosen)] == ["c", "b", "a", "d"]
    assert str(Check("views", NOT_ASSESSED, "unknown", "", "warns")) == "n/a   views               unknown (warns)"
    found = checked(Case())
    assert list(found) == list(CHECKS) and all(one.condition.startswith("warns ") for one in found.values())


def test_clean_data_rarely_warns():
    """Of twenty data sets of 60 a class, calibrated and without a shortcut, at most two have a check that warns."""
    warned = []
    for seed in range(20):
        drawn = np.random.default_rng([seed, 1]).normal(size=120)
        found = checked(Case((60, 60), seed=seed), lambda truth, _, drawn=drawn: 2 * (drawn + 2 * truth - 1))
        warned.append([one.id for one in found.values() if one.warns])
    assert sum(map(bool, warned)) <= 2, warned


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


@pytest.mark.parametrize(
    ("area", "status"),
    [
        (Metric(0.50, 0.36, 0.64, 40, 40), PASS),
        (Metric(0.70, 0.66, 0.74, 400, 400), PASS),
        (Metric(0.75, 0.60, 0.85, 40, 40), WARN),
        (Metric(1.00, 0.51, 1.00, 12, 12), WARN),
        (Metric(1.00, 0.50, 1.00, 12, 12), NOT_ASSESSED),
        (Metric(0.55, 0.31, 0.76, 25, 25), NOT_ASSESSED),
        (Metric(0.70, 0.60, 0.78, 60, 60), NOT_ASSESSED),
        (Metric.unavailable("too few patients to cross-validate"), NOT_ASSESSED),
    ],
)
def test_a_baseline_passes_only_if_its_interval_lies_below_the_level_at_which_it_warns(area, status):
    found = baseline_check(area, "from the outer 10 %", "Do this.")
    assert found.status == status
    assert (found.recommendation == "Do this.") == (status == WARN)
    assert ("the interval reaches 0.75" in found.message) == (status == NOT_ASSESSED and area.available)


@pytest.mark.parametrize(
    ("adjusted", "beyond", "status"),
    [
        (Metric(0.80, 0.60, 0.90, 40, 40), Metric(0.20, 0.10, 0.30, 40, 40), PASS),
        (Metric(0.62, 0.52, 0.70, 40, 40), Metric(0.03, -0.05, 0.10, 40, 40), WARN),
        (Metric(0.55, 0.40, 0.70, 40, 40), Metric(0.02, -0.10, 0.10, 40, 40), WARN),
        (Metric(0.75, 0.40, 1.00, 12, 12), Metric(0.20, -0.10, 0.40, 12, 12), NOT_ASSESSED),
        (Metric.unavailable("1 v 1"), Metric.unavailable("1 v 1"), NOT_ASSESSED),
    ],
)
def test_the_border_adjusted_area_passes_only_above_chance_and_above_the_borders_own(adjusted, beyond, status):
    separated = np.linspace(1, 0, 48)
    run = run_of(Case((24, 24)), separated, {BORDER_ADJUSTED: adjusted, BEYOND_BORDER: beyond})
    assert border_adjusted(run).status == status


@pytest.mark.parametrize(
    ("site", "advised"),
    [
        (lambda positive, number: "a", False),
        (lambda positive, number: "ab"[number % 2], False),
        (lambda positive, number: "ab"[positive], True),
        (lambda positive, number: "", True),
    ],
)
def test_controls_of_the_same_site_are_advised_only_if_the_classes_have_other_sites(site, advised):
    assert ("--controls" in run_of(Case((4, 4), site=site), np.full(8, 0.5)).audit()) == advised


def test_views_differ_where_luck_does_not_explain_it():
    """All AP against half AP: of 24 images a class no luck, of 4 it may be."""
    half = lambda positive, number: {"view": "AP" if positive or number % 2 else "PA"}  # noqa: E731
    assert checked(Case((24, 24), row=half))["views"].status == WARN
    assert checked(Case((4, 4), row=half))["views"].status == PASS


def test_the_view_or_age_of_a_few_images_says_little_of_the_others():
    some = lambda positive, number: {"view": "PA", "age": "50"} if not positive or number < 5 else {}  # noqa: E731
    found = checked(Case((24, 24), row=some))
    for name in ("views", "age_groups"):
        assert found[name].status == NOT_ASSESSED and "of most images of covid is not known" in found[name].message


def test_the_border_warns_where_it_predicts_the_class():
    assert checked(Case((60, 60)))["image_border"].status == PASS
    marked = Case((60, 60), border=lambda positive, number, noise: noise + 4 * positive)
    assert checked(marked)["image_border"].status == WARN


def test_the_border_advises_an_audit_where_no_border_adjusted_area_is_estimable():
    border = Metric(0.9, 0.8, 0.95, 24, 24)
    for adjusted, words in ((Metric(0.7, 0.6, 0.8, 24, 24), "border-adjusted"), (too_few(3, 3), "audit_covid19.py")):
        run = run_of(Case((24, 24)), np.full(48, 0.5), {BORDER: border, BORDER_ADJUSTED: adjusted})
        assert words in image_border(run).recommendation


def test_images_that_may_be_no_radiographs_warn():
    assert checked(Case())["image_content"].status == PASS
    kept = checked(Case(), implausible=[ImplausibleImage("covid/0.png", "without lungs", False)])["image_content"]
    assert (
        kept.status == WARN and kept.message.startswith("1 of 48 images may not be") and "Look" in kept.recommendation
    )
    gone = checked(Case(), implausible=[ImplausibleImage("covid/x.png", "in colour", True)])["image_content"]
    assert gone.status == WARN and gone.message.startswith("1 of 49 images may not be") and not gone.recommendation


def test_a_radiograph_in_two_classes_is_named():
    """Stored anew, so that the bytes differ; copies within a class are no contradiction."""
    dataset = extractor_of(Case((2, 2))).dataset
    near_duplicates = {(0, 1): Copy(), (0, 2): Copy(mirrored=True), (1, 3): Copy()}
    assert in_two_classes(dataset, near_duplicates) == [
        "covid/0.png = normal/0.png (mirrored)",
        "covid/1.png = normal/1.png",
    ]
    assert in_two_classes(dataset, {(0, 1): Copy()}) == []


def test_one_unknown_site_does_not_switch_the_check_off():
    found = checked(Case((24, 24), site=lambda positive, number: "" if positive and not number else "ab"[positive]))
    assert found["site_and_view"].status == WARN and "the site predicts the class" in found["site_and_view"].message
    shared = checked(Case((60, 60), site=lambda positive, number: "" if positive and not number else "a"))
    assert shared["site_and_view"].status == PASS
    assert "without the image, 119 of 120 sites known" in shared["site_and_view"].message


def test_sites_that_pass_say_of_how_many_images_the_view_is_known():
    """An unknown view is a category like any other for the baseline, so that it must not seem to be assessed."""
    none = checked(Case((60, 60), row=known(view=lambda positive, number: "")))["site_and_view"]
    assert none.status == PASS and none.message.endswith("without the image, 0 of 120 views known")
    every = checked(Case((60, 60), row=known(view=lambda positive, number: "PA")))["site_and_view"]
    assert every.status == PASS and every.message.endswith("without the image")


@pytest.mark.parametrize(
    ("scores", "status", "words"),
    [
        (lambda truth, noise: noise, WARN, "is compatible with guessing"),
        (lambda truth, noise: noise - 3 * truth, WARN, "worse than chance"),
        (lambda truth, noise: noise + 3 * truth, PASS, "ROC AUC 0.9"),
    ],
)
def test_chance_warns_if_the_classes_are_not_separated(scores, status, words):
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
        (lambda truth, noise: 0.1 * (noise - 0.1 * truth), NOT_ASSESSED, "slope"),
        (lambda truth, noise: 9 * truth - 4.5 + 0.01 * noise, NOT_ASSESSED, "separated without an error"),
    ],
)
def test_calibration_warns_if_probabilities_are_wrong(scores, status, words):
    found = checked(Case((150, 150)), scores)["calibration"]
    assert found.status == status and words in found.message


def test_an_accuracy_that_predicting_the_larger_class_reaches_warns():
    found = checked(Case((10, 90)), lambda truth, noise: noise - 4)["class_balance"]
    assert found.status == WARN and "predicting normal always is right in 0.90" in found.message
    assert checked(Case())["class_balance"].status == PASS


def test_a_class_that_is_never_predicted_warns_with_a_remedy():
    """Every image is called covid, though the scores separate the classes."""
    scores = 0.6 + 0.1 * np.array([number % 5 + 5 * (number < 24) for number in range(48)]) / 4
    folder = run_of(Case((24, 24)), scores)
    found = predicted_classes(replace(folder, evaluated=replace(folder.evaluated, train=np.arange(48))))
    assert found.status == WARN and found.message == "normal is never predicted (48 covid, 0 normal)"
    assert "--epochs" in found.recommendation and "--target-sensitivity" in found.recommendation
    # Of a model that is tested only, nothing can be trained longer.
    assert "--threshold" in predicted_classes(folder).recommendation
    assert checked(Case())["predicted_classes"].status == PASS


def test_exact_copies_across_the_split_are_named():
    run = run_of(Case((4, 4)), np.full(8, 0.5))
    run.extractor.properties[1] = replace(run.extractor.properties[1], digest=run.extractor.properties[0].digest)
    everything = replace(run, evaluated=replace(run.evaluated, train=np.arange(8)))
    # Nothing was trained on: the copy counts twice in this folder.
    assert "1 exact and 0 near duplicates within the folder" in duplicates(run).message
    found = duplicates(everything)
    assert found.status == WARN
    assert found.message == "1 exact and 0 near duplicates across the split: covid/0.png = covid/1.png"


def test_the_size_of_a_test_set_and_the_pooling_are_said_and_no_checks():
    few, many = (run_of(Case((n, n)), np.tile([0.9, 0.2], n)).evaluated.evaluation for n in (12, 600))
    assert precision(few).startswith(
        "Accuracy 0.50 ("
    ) and "from 24 test patients; ± 0.1 would need about" in precision(few)
    assert precision(many).endswith("from 1200 test patients.")
    assert "--pooling global" in pooling_note(TutorialRecipe()) and not pooling_note(ProbeRecipe())


def test_folds_are_advised_where_they_were_not_used():
    every = run_of(Case((24, 24)), np.full(48, 0.5))
    assert chance(every).recommendation == "Add images of other patients."
    some = replace(every, evaluated=replace(every.evaluated, held_out=np.arange(6)))
    assert "--folds 5" in chance(some).recommendation
