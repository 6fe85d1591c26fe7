"""Validity checks: a warning if something else than the disease predicts the class, or the result shows little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, checked, extractor_of, known, outcome_of

from detector.audit.checks import (
    APART,
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
    pooling_note,
    precision,
    predicted_classes,
    verdict,
    worst_first,
)
from detector.audit.evidence import BEYOND_BORDER, BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.images.duplicates import Copy
from detector.statistics.evaluation import Predictions, evaluate
from detector.statistics.metric import Metric, too_few
from detector.training.dataset import ImplausibleImage
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def run_of(case: Case, positive, metrics=None) -> Run:
    extractor = extractor_of(case)
    return Run(extractor, outcome_of(extractor, positive), metrics or {}, extractor.patients, [])


def judged(name, case, *others, **options):
    """Return status, message and recommendation of a check."""
    found = checked(case, *others, **options)[name]
    return found.status, found.message, found.recommendation


def apart(one, other):
    """Return a column's value by class."""
    return lambda positive, number: one if positive else other


def test_warnings_come_first_and_each_check_says_when_it_warns():
    chosen = [Check("a", PASS, ""), Check("b", NOT_ASSESSED, ""), Check("c", WARN, ""), Check("d", PASS, "")]
    assert [one.id for one in worst_first(chosen)] == ["c", "b", "a", "d"]
    found = checked(Case())
    assert list(found) == list(CHECKS) and all(one.condition.startswith("warns ") for one in found.values())
    assert not any(one.recommendation for one in found.values() if one.status == PASS)
    assert {found[name].status for name in ("image_content", "predicted_classes", "class_balance")} == {PASS}


def test_clean_data_rarely_warns():
    """Of twenty data sets of 60 a class, calibrated and without a shortcut, at most two have a check that warns."""
    warned = []
    for seed in range(20):
        drawn = np.random.default_rng([seed, 1]).normal(size=120)
        found = checked(Case((60, 60), seed=seed), lambda truth, _, drawn=drawn: 2 * (drawn + 2 * truth - 1))
        warned.append([one.id for one in found.values() if one.warns])
    assert sum(map(bool, warned)) <= 2, warned


@pytest.mark.parametrize(
    ("row", "site", "status"),
    [
        ({}, "", NOT_ASSESSED),
        # Of most images of one class nothing is known.
        ({"view": lambda p, n: "PA" if not p or n < 5 else "", "age": lambda p, n: "50" if not p or n < 5 else ""}, "",
         NOT_ASSESSED),
        ({"view": lambda p, n: "PA", "age": lambda p, n: "50"}, "a", PASS),
        ({"view": apart("AP", "PA"), "age": apart("5", "50")}, "ab", WARN),
    ],
)  # fmt: skip
def test_views_ages_and_sites_are_assessed_where_they_are_known(row, site, status):
    sites = {"": "", "a": "a"}
    found = checked(Case(row=known(**row), site=lambda positive, number: sites.get(site, site[positive:][:1])))
    for name in ("views", "age_groups", "site_and_view"):
        assert found[name].status == status and bool(found[name].recommendation) == (
            status == WARN or (name == "site_and_view" and status == NOT_ASSESSED)
        )
    if row and status == NOT_ASSESSED:
        assert "of most images of covid is not known" in found["views"].message


@pytest.mark.parametrize(
    ("area", "status"),
    [
        (Metric(0.50, 0.36, 0.64, 40, 40), PASS),
        (Metric(0.70, 0.66, 0.74, 400, 400), PASS),
        (Metric(0.75, 0.60, 0.85, 40, 40), WARN),
        (Metric(1.00, 0.51, 1.00, 12, 12), WARN),
        (Metric(1.00, 0.50, 1.00, 12, 12), NOT_ASSESSED),
        (Metric(0.55, 0.31, 0.76, 25, 25), NOT_ASSESSED),
        (Metric.unavailable("too few patients to cross-validate"), NOT_ASSESSED),
    ],
)
def test_a_baseline_passes_only_if_its_interval_lies_below_the_level_at_which_it_warns(area, status):
    found, message, advice = baseline_check(area, "from the outer 10 %", "Do this.")
    assert found == status and (status != WARN or advice == "Do this.")
    assert ("the interval reaches 0.75" in message) == (status == NOT_ASSESSED and area.available)


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
    run = run_of(Case((24, 24)), np.linspace(1, 0, 48), {BORDER_ADJUSTED: adjusted, BEYOND_BORDER: beyond})
    assert border_adjusted(run)[0] == status


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


@pytest.mark.parametrize(("images", "status"), [(24, WARN), (4, PASS)])
def test_views_differ_where_luck_does_not_explain_it(images, status):
    """All AP against half AP: of 24 images a class no luck, of 4 it may be."""
    half = lambda positive, number: {"view": "AP" if positive or number % 2 else "PA"}  # noqa: E731
    assert judged("views", Case((images, images), row=half))[0] == status


def test_the_border_warns_where_it_predicts_the_class():
    assert judged("image_border", Case((60, 60)))[0] == PASS
    marked = Case((60, 60), border=lambda positive, number, noise: noise + 4 * positive)
    assert judged("image_border", marked)[0] == WARN
    border = Metric(0.9, 0.8, 0.95, 24, 24)
    for adjusted, words in ((Metric(0.7, 0.6, 0.8, 24, 24), "border-adjusted"), (too_few(3, 3), "audit_covid19.py")):
        run = run_of(Case((24, 24)), np.full(48, 0.5), {BORDER: border, BORDER_ADJUSTED: adjusted})
        assert words in image_border(run)[2]


def test_images_that_may_be_no_radiographs_warn():
    for file, left_out, count in (("covid/0.png", False, 48), ("covid/x.png", True, 49)):
        status, message, advice = judged(
            "image_content", Case(), implausible=[ImplausibleImage(file, "without lungs", left_out)]
        )
        assert status == WARN and message.startswith(f"1 of {count} images may not be")
        assert ("Look at them" in advice) != left_out


def test_one_unknown_site_does_not_switch_the_check_off():
    case = Case((24, 24), site=lambda positive, number: "" if positive and not number else "ab"[positive])
    status, message, _ = judged("site_and_view", case)
    assert status == WARN and "the site predicts the class" in message
    status, message, _ = judged("site_and_view", replace(case, counts=(60, 60), site=lambda p, n: "a" if n else ""))
    assert status == PASS and message.endswith("without the image, 118 of 120 sites known, 0 of 120 views known")


@pytest.mark.parametrize(
    ("scores", "status", "words"),
    [
        (lambda truth, noise: noise, WARN, "is compatible with guessing"),
        (lambda truth, noise: noise - 3 * truth, WARN, "worse than chance"),
        (lambda truth, noise: noise + 3 * truth, PASS, "ROC AUC 0.9"),
    ],
)
def test_chance_warns_if_the_classes_are_not_separated(scores, status, words):
    found, message, advice = judged("chance", Case((60, 60)), scores)
    assert found == status and words in message and ("swapped" in advice) == ("worse" in words)
    assert judged("chance", Case((9, 60)), scores)[0] == NOT_ASSESSED


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
    found, message, _ = judged("calibration", Case((150, 150)), scores)
    assert found == status and words in message


def test_an_accuracy_that_predicting_the_larger_class_reaches_warns():
    status, message, _ = judged("class_balance", Case((10, 90)), lambda truth, noise: noise - 4)
    assert status == WARN and "predicting normal always is right in 0.90" in message


def test_a_class_that_is_never_predicted_warns_with_a_remedy():
    """Every image is called covid, though the scores separate the classes."""
    scores = 0.6 + 0.1 * np.array([number % 5 + 5 * (number < 24) for number in range(48)]) / 4
    folder = run_of(Case((24, 24)), scores)
    status, message, advice = predicted_classes(
        replace(folder, evaluated=replace(folder.evaluated, train=np.arange(48)))
    )
    assert status == WARN and message == "normal is never predicted (48 covid, 0 normal)"
    assert "--epochs" in advice and "--target-sensitivity" in advice
    # Of a model that is tested only, nothing can be trained longer.
    assert "run audit_covid19.py on those" in predicted_classes(folder)[2]


def test_copies_across_the_split_and_in_two_classes_are_named():
    run = run_of(Case((4, 4)), np.full(8, 0.5))
    run.extractor.properties[1] = replace(run.extractor.properties[1], digest=run.extractor.properties[0].digest)
    run.extractor.near_duplicates[2, 3] = Copy(mirrored=True)
    # Nothing was trained on: the copy counts twice in this folder.
    assert "1 exact and 1 near duplicates within the folder" in duplicates(run)[1]
    everything = replace(run, evaluated=replace(run.evaluated, train=np.arange(8)))
    named = "covid/0.png = covid/1.png, covid/2.png = covid/3.png (mirrored)"
    assert duplicates(everything)[:2] == (WARN, f"1 exact and 1 near duplicates across the split: {named}")
    run.extractor.near_duplicates[2, 4] = Copy(mirrored=True)
    in_two = "1 radiograph in two classes: covid/2.png = normal/0.png (mirrored)"
    assert duplicates(everything)[:2] == (WARN, in_two)


def test_the_size_of_a_test_set_and_the_pooling_are_said_and_no_checks():
    few, many = (precision(run_of(Case((n, n)), np.tile([0.9, 0.2], n)).evaluated.evaluation) for n in (12, 600))
    assert few.startswith("Accuracy 0.50 (") and "from 24 test patients; ± 0.1 would need about" in few
    assert many.endswith("from 1200 test patients.")
    assert "--pooling global" in pooling_note(TutorialRecipe()) and not pooling_note(ProbeRecipe())


def test_folds_are_advised_where_they_were_not_used():
    every = run_of(Case((24, 24)), np.full(48, 0.5))
    assert chance(every)[2] == "Add images of other patients."
    some = replace(every, evaluated=replace(every.evaluated, held_out=np.arange(6)))
    assert "--folds 5" in chance(some)[2]


# What a result is worth, in one sentence

FEW = Metric.unavailable("too few images (2 and 2; 10 of each needed)", 2, 2)
PERFECT, LOW = Metric(1.0, 0.96, 1.0, 20, 20), Metric(0.5, 0.4, 0.6, 20, 20)
SITE, CLEAN = Check("site_and_view", WARN, "found", "Add controls."), Check("site_and_view", PASS, "found")
ALONE = "ROC AUC 1.00 (0.96–1.00)"


def concluded(area: Metric, checks: list[Check], classes: tuple[str, ...] = ("covid", "normal"), **metrics: Metric):
    labels = np.arange(10) % len(classes)
    said = np.eye(len(classes))[labels]
    found = evaluate(Predictions.of_one_model(labels, labels.astype(str), said, labels), list(classes), 0)
    return verdict(replace(found, roc_auc=area), metrics, [Check("chance", PASS, "found", "Add images."), *checks])


@pytest.mark.parametrize(
    ("area", "checks", "metrics", "code", "said"),
    [
        (PERFECT, [SITE], {METADATA: PERFECT}, "shortcut", f"This result says nothing about COVID-19: site and view "
         f"alone reach {ALONE}."),
        (LOW, [SITE], {METADATA: PERFECT, STRATIFIED: LOW}, "shortcut", "within one site and view it is 0.50"),
        (PERFECT, [SITE], {METADATA: PERFECT, STRATIFIED: PERFECT}, "mixed", "may rest on a shortcut: site and view"),
        (LOW, [SITE], {METADATA: PERFECT, STRATIFIED: PERFECT}, "no_signal", "ROC AUC 0.50 (0.40–0.60) is compatible "
         "with guessing."),
        (Metric(0.2, 0.1, 0.3, 20, 20), [CLEAN], {}, "no_signal", "ROC AUC 0.20 (0.10–0.30) is worse than chance."),
        (FEW, [CLEAN], {}, "inconclusive", f"ROC AUC is not estimable: {FEW.reason}."),
        # Brightness may follow the disease, and few images show little.
        (PERFECT, [Check("file_properties", WARN, "found")],
         {FILES: Metric(0.86, 0.51, 0.96, 20, 20)}, "no_shortcut_found", "class (undetermined: file properties)."),
        (Metric(0.9, 0.85, 0.95, 20, 20), [Check("file_properties", WARN, "found")],
         {FILES: Metric(0.74, 0.66, 0.82, 20, 20)}, "mixed", "brightness alone reach ROC AUC 0.74 (0.66–0.82)."),
        (PERFECT, [Check("image_border", WARN, "found")], {BORDER: PERFECT, BORDER_ADJUSTED: FEW}, "shortcut",
         f"the outer 10 % of the image alone reaches {ALONE}."),
        (PERFECT, [Check("duplicates", WARN, "3 exact")], {}, "duplicates", "cannot be trusted: 3 exact."),
        (PERFECT, [Check("predicted_classes", WARN, "covid is never predicted")], {}, "class_never_predicted", "never"),
        (PERFECT, [Check("age_groups", WARN, "children are 0 % of covid")], {}, "mixed", "children are 0 % of covid."),
        (PERFECT, [CLEAN, Check("calibration", WARN, "off")], {}, "no_shortcut_found",
         f"{ALONE} on 40 images; no shortcut among those tested predicts the class."),
        (PERFECT, [Check("views", NOT_ASSESSED, "?")], {}, "no_shortcut_found", "class (undetermined: views)."),
    ],
)  # fmt: skip
def test_what_makes_a_result_worthless_is_said_first(area, checks, metrics, code, said):
    found = concluded(area, checks, **metrics)
    assert found.code == code and found.message.endswith(".") and said in found.message
    assert found.warns == (code != "no_shortcut_found") and found.for_use.count("In training: ") <= 1


def test_a_user_of_the_model_is_told_that_its_classes_came_from_other_sites():
    found = concluded(PERFECT, [replace(SITE, message=APART)], ("flu", "normal", "tb"), **{METADATA: FEW})
    assert found.for_use == f"Do not use these probabilities: {APART}." and found.recommendation == "Add controls."
    assert found.message == f"This result says nothing about flu: {APART}."
