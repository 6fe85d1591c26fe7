"""What a result is worth, in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.audit.checks import APART, NOT_ASSESSED, PASS, WARN, Check
from detector.audit.evidence import BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.audit.verdict import verdict
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
    apart = replace(SITE, message=APART)
    every = "in training, every covid image came from other sites than every"
    for metrics in ({METADATA: PERFECT}, {METADATA: FEW}):
        found = judged(PERFECT, [apart], **metrics)
        assert found.for_use == f"Do not use these probabilities: {every} normal image."
    assert APART in found.message and found.recommendation == "Add controls."
    found = judged(PERFECT, [apart], ("flu", "normal", "tb"))
    assert "every other image" in found.for_use and found.message.startswith("This result says nothing about flu")
