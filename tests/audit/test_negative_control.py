"""Permuted labels: nothing is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from audit_helpers import Case, audit_of

from detector.audit import experiments as negative_control


def test_labels_are_permuted_of_patients_with_images_of_both_classes_too():
    audit = audit_of(Case((30, 30)))
    both = np.array([f"p{number % 30}" for number in range(60)])
    found = negative_control.permuted_labels(replace(audit, extractor=replace(audit.extractor, patients=both))).metric
    assert found.available and found.ci_low < 0.5 < found.ci_high and found.n_patients == 30
