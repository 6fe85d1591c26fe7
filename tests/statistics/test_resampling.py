"""Effective numbers of patients."""

from __future__ import annotations

import numpy as np
import pytest

from detector.statistics.resampling import kish_number, patient_share


def test_patients_of_as_many_images_count_one_each():
    assert kish_number(np.full(7, 3)) == 7
    assert kish_number(np.array([20] + [1] * 19)) == pytest.approx(39**2 / 419)
    assert kish_number(np.empty(0, int)) == 0


def test_the_share_is_that_of_the_class_and_stratum():
    patients, truth = np.array([0, 0, 1, 2, 0, 3]), np.array([1, 1, 1, 1, 0, 0], bool)
    strata = np.array(["a", "a", "a", "b", "b", "b"])
    assert patient_share(patients, truth, strata) == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1, 1 / 2, 1 / 2])
