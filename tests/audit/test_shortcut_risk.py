"""Utility and detectability, where the result is known."""

from __future__ import annotations

import numpy as np
import pytest
from audit_helpers import Case, audit_of, extractor_of

from detector.audit.baselines import R2, ROC_AUC, shortcut_risks
from detector.audit.context import Audit

AGES = np.random.default_rng(7).normal(0, 8, 1000)


def older(positive, number):
    """An age that goes with the class, and with nothing of the image."""
    return {"age": f"{50 + 12 * positive + AGES[number + 500 * positive]:.0f}"}


def risks_of(case, change=None):
    audit = audit_of(case)
    if change is not None:
        change(audit)
    return {one.name: one for one in shortcut_risks(audit)}


def test_an_age_that_goes_with_the_class_is_useful_and_not_detectable():
    found = risks_of(Case((60, 60), row=older))["age"]
    assert found.utility.ci_low > 0.7
    assert found.measure == R2 and found.detectability.value < 0.05
    assert not found.suspected


def test_an_age_that_the_image_shows_is_both_and_comes_first():
    def shown(audit: Audit) -> None:
        ages = np.array([float(image.row["age"]) for image in audit.own_images])
        for features in audit.extractor.by_part.values():
            features[:, 20:30] += ages[:, None] / 8

    found = risks_of(Case((60, 60), row=older), shown)
    assert next(iter(found)) == "age"
    assert found["age"].suspected and found["age"].detectability.ci_low > 0.5


def test_a_border_that_goes_with_the_class_and_the_features_is_both():
    """As a blur is: its property predicts the class, and the features contain it, within class too."""

    def shown(audit: Audit) -> None:
        border = np.array([one.border[0] for one in audit.own_properties])
        for features in audit.extractor.by_part.values():
            features[:, 20:30] += 2 * border[:, None]

    case = Case((60, 60), border=lambda positive, number, noise: noise + 2.5 * positive * (np.arange(13) == 0))
    found = risks_of(case, shown)
    assert next(iter(found)) == "border" and found["border"].suspected
    assert not risks_of(case)["border"].suspected, "useful, and not in the features"


def test_a_site_that_is_the_class_comes_right_after_what_is_suspected():
    case = Case((24, 24), site=lambda positive, number: "ab"[positive], row=older)
    found = risks_of(case)
    assert next(iter(found)) == "site"
    assert found["site"].utility.value == 1.0 and found["site"].detectability.reason == "inseparable from the class"

    def shown(audit: Audit) -> None:
        ages = np.array([float(image.row["age"]) for image in audit.own_images])
        for features in audit.extractor.by_part.values():
            features[:, 20:30] += ages[:, None] / 8

    assert list(risks_of(case, shown))[:2] == ["age", "site"]
    few = Case((24, 24), row=lambda positive, number: {"kvp": str(60 + number)} if number < 5 else {})
    assert list(risks_of(few))[-1] == "kvp"


def test_categories_are_detected_by_their_roc_auc():
    case = Case((60, 60), site=lambda positive, number: "ab"[(number % 5 < 4) == positive])

    def shown(audit: Audit) -> None:
        at_a = np.array([image.site == "a" for image in audit.own_images])
        for features in audit.extractor.by_part.values():
            features[:, 20:30] += 2 * at_a[:, None]

    found = risks_of(case, shown)["site"]
    assert found.measure == ROC_AUC and found.suspected and found.utility.value == pytest.approx(0.8, abs=0.05)
    plain = risks_of(case)["site"]
    assert plain.detectability.ci_low < 0.55 and not plain.suspected


def test_columns_of_headers_are_properties_and_few_images_say_so():
    case = Case(
        (12, 12),
        row=lambda positive, number: {
            "manufacturer": "ab"[number % 2],
            "kvp": str(60 + number),
            "sex": "F" if number < 5 else "",
        },
    )
    found = risks_of(case)
    assert {"manufacturer", "kvp", "border", "brightness"} <= set(found)
    assert "sex" not in found, "one value tells nothing"
    few = Case((12, 12), row=lambda positive, number: {"age": str(50 + number) if number < 5 else ""})
    assert risks_of(few)["age"].utility.reason == "5 v 5 images of which it is known; at least 10 v 10 needed"


def test_no_feature_is_computed_for_it():
    audit = audit_of(Case((24, 24), row=older))
    assert audit.samples is not None
    before = len(audit.extractor.asked)
    shortcut_risks(audit)
    assert len(audit.extractor.asked) == before == 1
    assert extractor_of(Case()).asked == []
