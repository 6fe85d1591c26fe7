"""Baselines: which images something is known of, and what it predicts."""

from __future__ import annotations

import numpy as np
import pytest
from audit_helpers import Case, audit_of, extractor_of

from detector.audit import baselines
from detector.audit.baselines import shortcut_risks
from detector.audit.context import Audit


def images(*rows: dict[str, str]):
    return extractor_of(Case((len(rows), 0), row=lambda positive, number: rows[number])).dataset.images


def test_what_manifests_record_is_numbers_or_categories():
    listed = images(
        {"age": "50", "sex": "F", "kvp": "90"}, {"age": "nan", "sex": "unknown"}, {"age": "9", "sex": "m"}, {}
    )
    age, sex = (baselines.recorded(listed, name) for name in ("age", "sex"))
    assert (age.rows.tolist(), age.values.tolist(), age.is_number) == ([0, 2], [50.0, 9.0], True)
    assert (sex.rows.tolist(), sex.values.tolist(), sex.is_number) == ([0, 2], ["F", "M"], False)
    assert not len(baselines.recorded(listed, "view").rows)
    several = images(*({"kvp": str(90 + number), "device": "ab"[number % 2]} for number in range(6)))
    assert baselines.recorded(several, "kvp").is_number and not baselines.recorded(several, "device").is_number


def test_one_unknown_site_does_not_hide_that_the_others_are_the_class():
    apart = audit_of(Case(site=lambda positive, number: "" if positive and not number else "ab"[positive]))
    found = baselines.metadata(apart)
    assert found.metric.value == 1.0 and (found.metric.n_positive, found.metric.n_negative) == (23, 24)
    assert found.notes == ("without 1 image of unknown site",)
    few = baselines.metadata(audit_of(Case(site=lambda positive, number: "ab"[positive] if number < 9 else "")))
    assert few.metric.reason == "the site of 30 of 48 images is not known" and not few.notes


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("age", ("70", "20")),
        ("sex", ("M", "F")),
        ("view", ("AP", "PA")),
    ],
)
def test_what_differs_between_the_classes_predicts_them(key, values):
    baseline = baselines.alone(key)
    audit = audit_of(Case(row=lambda positive, number: {key: values[0] if positive else values[1]}))
    assert baseline(audit).metric.value == 1.0
    few = audit_of(Case((24, 24), row=lambda positive, number: {key: values[0]} if number < 5 else {}))
    assert baseline(few).metric.reason == "too few images of which it is recorded (5 and 5; 10 of each needed)"


def test_the_oldest_and_the_youngest_are_found():
    """A U-shape: no line separates 20 and 80 years from 50."""
    ages = np.random.default_rng(3).normal(0, 4, 100)
    row = lambda positive, number: {"age": str(50 + (number % 2 * 60 - 30) * positive + ages[number + 50 * positive])}  # noqa: E731
    assert baselines.alone("age")(audit_of(Case(row=row))).metric.low > 0.8
    (risk,) = (one for one in shortcut_risks(audit_of(Case(row=row))) if one.name == "age")
    assert risk.utility.low > 0.8


# Utility and detectability, where the result is known

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
    assert found.detectability.low < 0.5 < found.detectability.high
    assert not found.suspected


def show(audit: Audit, values) -> None:
    """Let the features of all images hold a value of each."""
    for features in audit.extractor.by_part.values():
        features[:, 20:30] += np.array(values)[:, None]


def show_age(audit: Audit) -> None:
    show(audit, [float(image.row["age"]) / 8 for image in audit.own_images])


def test_an_age_that_the_image_shows_is_both_and_comes_first():
    found = risks_of(Case((60, 60), row=older), show_age)
    assert next(iter(found)) == "age"
    assert found["age"].suspected and found["age"].detectability.ci_low > 0.6


def test_a_border_that_goes_with_the_class_and_the_features_is_both():
    """As a blur is: its property predicts the class, and the features contain it, within class too."""
    case = Case((60, 60), border=lambda positive, number, noise: noise + 2.5 * positive * (np.arange(13) == 0))
    found = risks_of(case, lambda audit: show(audit, [2 * one.border[0] for one in audit.own_properties]))
    assert next(iter(found)) == "border" and found["border"].suspected
    assert not risks_of(case)["border"].suspected, "useful, and not in the features"


def test_a_site_that_is_the_class_comes_right_after_what_is_suspected():
    case = Case((24, 24), site=lambda positive, number: "ab"[positive], row=older)
    found = risks_of(case)
    assert next(iter(found)) == "site"
    assert found["site"].utility.value == 1.0 and found["site"].detectability.reason == "inseparable from the class"
    assert list(risks_of(case, show_age))[:2] == ["age", "site"]
    few = Case((24, 24), row=lambda positive, number: {"kvp": str(60 + number)} if number < 5 else {})
    last = [*risks_of(few).values()][-1]
    reason = "too few images of which it is known (5 and 5; 10 of each needed)"
    assert (last.name, last.utility.reason, last.detectability.reason) == ("kvp", reason, reason)


def test_categories_are_detected_by_their_roc_auc():
    case = Case((60, 60), site=lambda positive, number: "ab"[(number % 5 < 4) == positive])
    found = risks_of(case, lambda audit: show(audit, [2.0 * (image.site == "a") for image in audit.own_images]))["site"]
    assert found.suspected and found.utility.value == pytest.approx(0.8, abs=0.05)
    plain = risks_of(case)["site"]
    assert plain.detectability.ci_low < 0.55 and not plain.suspected


def test_columns_of_headers_are_properties():
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


def test_a_property_that_is_the_same_everywhere_is_none():
    """It does not go with the class: nothing may call it "inseparable from the class"."""
    case = Case((12, 12), constant=True, row=lambda positive, number: {"age": "50", "sex": "F"})
    assert not {"age", "sex", "image size", "file format", "colour", "site", "brightness"} & set(risks_of(case))
