"""Subgroups: bands, missing values, and why a group has no metric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from audit_helpers import Case, extractor_of, known, outcome_of

from detector.audit import subgroups
from detector.statistics.metric import too_few


def test_bands_and_missing_values():
    assert [subgroups.age_band(text) for text in ("0", "17.5", "18", "59", "60", "80", "130", "", "x", "nan")] == [
        *("0-17", "0-17", "18-39", "40-59", "60-79", "80-129", "", "", "", "")
    ]
    assert subgroups.known("unknown") == subgroups.known("") == "" and subgroups.known(" F ") == "F"


def test_a_small_group_has_a_reason_instead_of_a_metric():
    row = subgroups.Subgroup("sex", "F", 7, 6, *[too_few(3, 4, "images")] * 3)
    assert " ".join(str(row).split()) == "sex F 7 images, 6 patients: too few images (3 and 4; 10 of each needed)"


def test_a_group_is_evaluated_over_patients_and_within_folds():
    """Every fold separates the classes, each on a scale of its own; a patient has two images, one of them wrong."""
    extractor = extractor_of(Case((40, 40), images=2, row=known(sex=lambda positive, number: "F")))
    labels, patients = extractor.dataset.labels, extractor.patients
    folds = np.arange(80) // 2 % 2
    scores = 0.4 * folds + np.where(labels == 0, 0.3, 0.2)
    evaluated = outcome_of(extractor, scores)
    predictions = replace(evaluated.predictions, folds=folds[None], predicted=(np.arange(80) % 2)[None])
    (row,) = (
        one
        for one in subgroups.subgroups(extractor, replace(evaluated, predictions=predictions), 0)
        if one.value == "F"
    )
    assert (row.n_images, row.n_patients) == (80, 40) and row.roc_auc.value == 1.0
    for found in (row.sensitivity, row.specificity):
        assert (found.value, found.n_patients) == (0.5, 20)
    alone = replace(predictions, patients=np.arange(80), folds=np.zeros((1, 80), int), predicted=labels[None] * 0)
    whole = subgroups.subgroups(extractor, replace(evaluated, predictions=alone), 0)[0]
    paired = subgroups.subgroups(extractor, replace(evaluated, predictions=replace(alone, patients=patients)), 0)[0]
    assert paired.sensitivity.ci_low < whole.sensitivity.ci_low
