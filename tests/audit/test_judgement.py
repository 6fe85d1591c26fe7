"""What a result is worth: in subgroups, and in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, known, outcome_of

from detector.audit.checks import APART, NOT_ASSESSED, PASS, WARN, Check, verdict
from detector.audit.evidence import BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.audit.metrics import subgroups
from detector.statistics.evaluation import Predictions, evaluate
from detector.statistics.metric import Metric

FEW = Metric.unavailable("too few images (2 and 2; 10 of each needed)", 2, 2)
PERFECT, LOW = Metric(1.0, 0.96, 1.0, 20, 20), Metric(0.5, 0.4, 0.6, 20, 20)
SITE, CLEAN = Check("site_and_view", WARN, "found", "Add controls."), Check("site_and_view", PASS, "found")
ALONE = "ROC AUC 1.00 (0.96–1.00)"


def judged(area: Metric, checks: list[Check], classes: tuple[str, ...] = ("covid", "normal"), **metrics: Metric):
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
    found = judged(area, checks, **metrics)
    assert found.code == code and found.message.endswith(".") and said in found.message
    assert found.warns == (code != "no_shortcut_found") and found.for_use.count("In training: ") <= 1


def test_a_user_of_the_model_is_told_that_its_classes_came_from_other_sites():
    found = judged(PERFECT, [replace(SITE, message=APART)], ("flu", "normal", "tb"), **{METADATA: FEW})
    assert found.for_use == f"Do not use these probabilities: {APART}." and found.recommendation == "Add controls."
    assert found.message == f"This result says nothing about flu: {APART}."


def by_value(case: Case, **changed):
    """Return the subgroups of a case, all of whose scores are equal, with changed predictions."""
    extractor = extractor_of(case)
    evaluated = outcome_of(extractor, np.full(len(extractor.properties), 0.5))
    evaluated = replace(evaluated, predictions=replace(evaluated.predictions, **changed))
    return {one.value: one for one in subgroups(extractor, evaluated)}


def test_bands_missing_values_and_small_groups():
    ages = ("0", "17.5", "18", "59", "60", "80", "130", "", "x", "nan")
    row = known(age=lambda positive, number: ages[number], sex=lambda positive, number: [" f ", "unknown"][number % 2])
    found = by_value(Case((10, 10), row=row))
    assert [*found] == ["F", "0-17", "18-39", "40-59", "60-79", "80-129", "set"]
    assert [found[name].n_images for name in ("F", "0-17", "60-79", "set")] == [10, 4, 2, 20]
    assert found["0-17"].sensitivity.reason == "too few images (2 and 2; 10 of each needed)"


def test_a_group_is_evaluated_over_patients_and_within_folds():
    """Every fold separates the classes, each on a scale of its own; a patient has two images, one of them wrong."""
    case = Case((40, 40), images=2, row=known(sex=lambda positive, number: "F"))
    positive, folds = np.arange(80) < 40, np.arange(80) // 2 % 2
    scores = 0.4 * folds + np.where(positive, 0.3, 0.2)
    said = np.stack([scores, 1 - scores], axis=1)[None]
    row = by_value(case, probabilities=said, folds=folds[None], predicted=(np.arange(80) % 2)[None])["F"]
    assert (row.n_images, row.n_patients, row.roc_auc.value) == (80, 40, 1.0)
    for found in (row.sensitivity, row.specificity):
        assert (found.value, found.n_patients) == (0.5, 20)
    right = np.zeros((1, 80), int)
    alone, paired = by_value(case, predicted=right, patients=np.arange(80)), by_value(case, predicted=right)
    assert paired["F"].sensitivity.ci_low < alone["F"].sensitivity.ci_low
