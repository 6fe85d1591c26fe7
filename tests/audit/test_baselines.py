"""Baselines: which images something is known of, and what it predicts."""

from __future__ import annotations

import numpy as np
import pytest
from audit_helpers import Case, audit_of, extractor_of

from detector.audit import baselines
from detector.statistics.metric import Metric


def images(*rows: dict[str, str]):
    return extractor_of(Case((len(rows), 0), row=lambda positive, number: rows[number])).dataset.images


def test_unknown_ages_and_sexes_are_left_out():
    listed = images({"age": "50", "sex": "F"}, {"age": "nan", "sex": "unknown"}, {"age": "9", "sex": "male"}, {})
    rows, columns = baselines.known_ages(listed)
    assert rows.tolist() == [0, 2] and columns.tolist() == [[50, 2500], [9, 81]]
    rows, columns = baselines.known_sexes(listed)
    assert rows.tolist() == [0, 2] and columns.shape == (2, 2) and (columns.sum(axis=1) == 1).all()
    assert baselines.known_views(listed)[1].size == 0


def test_the_site_predicts_the_class_where_it_is_the_class():
    apart = audit_of(Case(site=lambda positive, number: "ab"[positive]))
    assert baselines.metadata(apart).metric.value == 1.0
    assert baselines.metadata(audit_of(Case())).metric.value == 0.5


def test_one_unknown_site_does_not_hide_that_the_others_are_the_class():
    apart = audit_of(Case(site=lambda positive, number: "" if positive and not number else "ab"[positive]))
    found = baselines.metadata(apart)
    assert found.metric.value == 1.0 and (found.metric.n_positive, found.metric.n_negative) == (23, 24)
    assert found.notes == ("without 1 image of unknown site",)
    few = baselines.metadata(audit_of(Case(site=lambda positive, number: "ab"[positive] if number < 9 else "")))
    assert few.metric.reason == "the site of 30 of 48 images is not known" and not few.notes


@pytest.mark.parametrize(
    ("baseline", "key", "values"),
    [
        (baselines.age, "age", ("70", "20")),
        (baselines.sex, "sex", ("M", "F")),
        (baselines.view, "view", ("AP", "PA")),
    ],
)
def test_what_differs_between_the_classes_predicts_them(baseline, key, values):
    audit = audit_of(Case(row=lambda positive, number: {key: values[0] if positive else values[1]}))
    assert baseline(audit).metric.value == 1.0
    few = audit_of(Case((24, 24), row=lambda positive, number: {key: values[0]} if number < 5 else {}))
    assert baseline(few).metric.reason == "recorded for 5 v 5 images; at least 10 v 10 needed"


def test_noise_in_the_border_predicts_nothing_and_a_mark_does():
    assert baselines.border(audit_of(Case())).metric.low < 0.5
    marked = audit_of(Case(border=lambda positive, number, noise: noise + 5 * positive))
    found = baselines.border(marked).metric
    assert isinstance(found, Metric) and found.value > 0.95
    assert np.isfinite([found.low, found.high]).all()


def test_clinical_columns_are_a_baseline_only_if_they_are_asked_for():
    assert baselines.clinical_columns(audit_of(Case())) is None
