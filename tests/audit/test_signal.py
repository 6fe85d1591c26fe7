"""Where the signal is: in the lungs, without them, or in the shape of their mask."""

from __future__ import annotations

import pytest
from audit_helpers import Case, audit_of

from detector.audit import experiments as signal


@pytest.mark.parametrize(
    ("case", "found", "not_found"),
    [
        (Case((24, 24), signal=0.8), signal.lungs_only, signal.lungs_masked_out),
        (Case((24, 24), signal=0.0, masked=1.5), signal.lungs_masked_out, signal.full_image),
    ],
)
def test_the_signal_is_found_where_it_is(case, found, not_found):
    audit = audit_of(case)
    assert found(audit).metric.ci_low > 0.6
    assert not_found(audit).metric.ci_low < 0.6


def test_experiments_on_the_same_predictions_compare_fewer_images():
    audit = audit_of(Case((24, 24), signal=0.8))
    assert signal.within_site_and_view(audit).metric.n_positive <= signal.full_image(audit).metric.n_positive == 24
