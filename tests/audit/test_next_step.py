"""What to do next: what a user of this data set can do, for each conclusion."""

from __future__ import annotations

import pytest

from detector.audit import experiments
from detector.audit.evidence import INCONCLUSIVE, LEAKAGE, LUNGS, MIXED, NO_SIGNAL, SHORTCUT, Conclusion, Evidence
from detector.audit.next_step import next_step
from detector.statistics.metric import Metric

FULL = experiments.Result(experiments.FULL, "full image", experiments.SIGNAL, "", Metric(0.9, 0.8, 0.95, 50, 50))
OUTSIDE = experiments.Result("external:x", "external x", experiments.EXTERNAL, "", Metric(0.7, 0.6, 0.8, 50, 50))
VIEW = experiments.Result(experiments.VIEW, "view", experiments.BASELINES, "", Metric(0.7, 0.6, 0.8, 50, 50))
AGE = experiments.Result(experiments.AGE, "age", experiments.BASELINES, "", Metric(0.7, 0.6, 0.8, 50, 50))


def after(code, *results, shared_sites=False, carried_by=()):
    return next_step(
        Conclusion(code, "", [], list(carried_by)), Evidence([FULL, *results], None, "covid", shared_sites)
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (LEAKAGE, "duplicates under several names"),
        (NO_SIGNAL, "Add images of other patients"),
        (SHORTCUT, "Add controls of the same site (--controls)"),
        (MIXED, "--shared-sites-only"),
        (LUNGS, "another hospital: audit_covid19.py --external"),
        (INCONCLUSIVE, "give lung masks (--masks)"),
    ],
)
def test_each_conclusion_has_a_next_step(code, words):
    assert words in after(code)


def test_controls_of_the_same_site_are_not_asked_for_if_both_classes_are_of_it():
    for code in (SHORTCUT, MIXED):
        assert "--controls" not in after(code, shared_sites=True)
        found = after(
            code, AGE, VIEW, shared_sites=True, carried_by=[experiments.AGE, experiments.VIEW, experiments.METADATA]
        )
        assert "do not differ in view, age. Then" in found and "outside the lungs" not in found
        found = after(code, AGE, shared_sites=True, carried_by=[experiments.AGE, experiments.BORDER])
        assert "do not differ in age; look at" in found and "outside the lungs" in found
        assert "look at the example images" in after(code, shared_sites=True, carried_by=[experiments.FILES])


def test_what_was_done_is_not_asked_for_again():
    assert "than the external ones here" in after(LUNGS, OUTSIDE)
