"""Checks of the data: a warning if something else than the disease predicts the class."""

from __future__ import annotations

import numpy as np
import pytest
from audit_helpers import Case, RidgeRecipe, checked, extractor_of, known, outcome_of

from detector.audit.checks import (
    AUDIT,
    NOT_ASSESSED,
    PASS,
    WARN,
    Run,
    audit_for,
    baseline_check,
    border_adjusted_check,
    image_border,
    in_two_classes,
)
from detector.audit.metrics import BORDER, BORDER_ADJUSTED
from detector.images.duplicates import Copy
from detector.statistics.metric import Metric, too_few
from detector.training.dataset import ImplausibleImage
from detector.training.recipes import TutorialRecipe


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
    found = baseline_check("image_border", area, "from the outer 10 %", "Do this.")
    assert found.status == status
    assert (found.recommendation == "Do this.") == (status == WARN)
    assert ("the interval reaches 0.75" in found.message) == (status == NOT_ASSESSED and area.available)


@pytest.mark.parametrize(
    ("adjusted", "whole", "status"),
    [
        (Metric(0.80, 0.60, 0.90, 40, 40), Metric(0.95, 0.9, 0.98, 60, 60), PASS),
        (Metric(0.55, 0.40, 0.70, 40, 40), Metric(0.95, 0.9, 0.98, 60, 60), WARN),
        (Metric(0.75, 0.40, 0.96, 12, 12), Metric(0.95, 0.9, 0.98, 60, 60), NOT_ASSESSED),
        (Metric(0.50, 0.38, 0.62, 40, 40), Metric(0.50, 0.38, 0.62, 40, 40), NOT_ASSESSED),
        (Metric(0.00, 0.00, 0.07, 40, 40), Metric(0.00, 0.00, 0.07, 40, 40), WARN),
        (Metric.unavailable("1 v 1"), Metric(0.95, 0.9, 0.98, 60, 60), NOT_ASSESSED),
    ],
)
def test_the_border_adjusted_area_warns_only_if_it_is_lower_than_that_of_all_images(adjusted, whole, status):
    assert border_adjusted_check(adjusted, whole, "audit_covid19.py").status == status


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
    extractor = extractor_of(Case((4, 4), site=site))
    evaluated = outcome_of(extractor, np.full(8, 0.5))
    run = Run(extractor, evaluated, {}, RidgeRecipe(), extractor.patients, [])
    assert ("--controls" in audit_for(run)) == advised


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
    for adjusted, words in ((Metric(0.7, 0.6, 0.8, 24, 24), "border-adjusted"), (too_few(3, 3), AUDIT)):
        extractor = extractor_of(Case((24, 24)))
        metrics = {BORDER: border, BORDER_ADJUSTED: adjusted}
        run = Run(extractor, outcome_of(extractor, np.full(48, 0.5)), metrics, TutorialRecipe(), extractor.patients, [])
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
