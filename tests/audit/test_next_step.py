"""What to do next: what a user of this data set can do, for each conclusion."""

from __future__ import annotations

import pytest

from detector.audit import experiments
from detector.audit.evidence import (
    INCONCLUSIVE,
    LEAKAGE,
    LUNGS,
    MIXED,
    NO_SIGNAL,
    SHORTCUT,
    Conclusion,
    Evidence,
    next_step,
)
from detector.statistics.metric import Metric

FULL = experiments.Result(experiments.FULL, "full image", experiments.SIGNAL, "", Metric(0.9, 0.8, 0.95, 50, 50))
OUTSIDE = experiments.Result("external:x", "external x", experiments.EXTERNAL, "", Metric(0.7, 0.6, 0.8, 50, 50))
VIEW = experiments.Result(experiments.VIEW, "view alone", experiments.BASELINES, "", Metric(0.7, 0.6, 0.8, 50, 50))
CONTROLS = experiments.Result(
    experiments.SAME_SITE, "positives v controls", experiments.SAME_SITES, "", Metric(0.9, 0.8, 0.95, 50, 50)
)
LUNGS_FOUND = [
    experiments.Result(name, name, experiments.SIGNAL, "", Metric(0.7, 0.65, 0.75, 50, 50))
    for name in (experiments.MASKED_OUT, experiments.LUNGS_ALONE)
]
AGE = experiments.Result(experiments.AGE, "age alone", experiments.BASELINES, "", Metric(0.7, 0.6, 0.8, 50, 50))


def after(code, *results, shared_sites=False, carried_by=()):
    return next_step(
        Conclusion(code, "", [], list(carried_by)), Evidence([FULL, *results], None, "covid", shared_sites)
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (LEAKAGE, "Report a bug"),
        (NO_SIGNAL, "Add images of other patients"),
        (SHORTCUT, "Add controls of the same site (--controls)"),
        (MIXED, "--shared-sites-only"),
        (LUNGS, "another hospital: {audit} --external"),
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
        assert "do not differ in view or age. Then" in found and "outside the lungs" not in found
        found = after(code, AGE, shared_sites=True, carried_by=[experiments.AGE, experiments.BORDER])
        assert "do not differ in age; look at" in found and "outside the lungs" in found
        assert "look at the example images" in after(code, shared_sites=True, carried_by=[experiments.FILES])


def test_what_was_done_is_not_asked_for_again():
    assert "than the external ones here" in after(LUNGS, OUTSIDE)
    for code in (SHORTCUT, MIXED):
        found = after(code, CONTROLS)
        assert "--controls" not in found and "Train with the controls of the same site" in found
    settled = after(INCONCLUSIVE, CONTROLS, OUTSIDE, *LUNGS_FOUND)
    assert settled == "What would show it: sharper lung masks (--masks)."
    assert "controls of the same site (--controls), images of a second hospital" in after(INCONCLUSIVE, *LUNGS_FOUND)


def test_advice_does_not_contradict_what_a_run_checks():
    """Permuted labels are independent of duplicates; a pooling that reads a corner is worth another recipe."""
    assert "duplicates" not in after(LEAKAGE) and "recipe" not in after(NO_SIGNAL)
