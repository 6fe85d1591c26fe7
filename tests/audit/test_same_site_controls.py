"""Experiments with controls: what separates sites, what separates the disease, and what is said without controls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from audit_helpers import Case, audit_of

from detector.audit import experiments as same_site_controls
from detector.audit.image_sets import CONTROLS


def with_controls(case: Case, positives: int):
    """Return an audit whose first `positives` images are its own positives, and the rest of these its controls.

    Controls so look like positives: of the same site, as it were, with nothing of the disease to tell them apart.
    """
    audit = audit_of(case)
    images = audit.extractor.dataset.images
    everything = np.arange(len(audit.extractor.properties))
    controls = everything[positives : case.counts[0]]
    for row in controls:
        images[row] = replace(images[row], label=CONTROLS)
    own = np.setdiff1d(everything, controls)
    return replace(audit, sets=replace(audit.sets, own=own, controls=controls))


def test_without_controls_nothing_is_asked_or_the_reason_is_given():
    audit = audit_of(Case())
    experiments = (
        same_site_controls.controls_v_others,
        same_site_controls.same_site,
        same_site_controls.same_site_lungs_only,
    )
    assert [one(audit) for one in experiments] == [None] * 3
    assert same_site_controls.controls_predicted_positive(audit) is None
    left_out = replace(audit, sets=replace(audit.sets, controls_note="--controls: 3 images are in the data set"))
    assert {one(left_out).metric.reason for one in experiments} == {"every control was left out"}


def test_controls_that_look_like_positives_are_separated_from_others_only():
    audit = with_controls(Case((48, 24), signal=3.0), 24)
    assert same_site_controls.controls_v_others(audit).metric.low > 0.8
    disease = same_site_controls.same_site(audit).metric
    assert disease.low < 0.5 < disease.high
    assert (disease.n_positive, disease.n_negative) == (24, 24)
