"""Validity checks: three states, and none passes because nothing is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from audit_helpers import Case, extractor_of, outcome_of

from detector.audit import checks as validity
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check, Run
from detector.audit.metrics import MetricSettings, compute_metrics
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def test_warnings_come_first():
    chosen = [Check("a", PASS, ""), Check("b", NOT_ASSESSED, ""), Check("c", WARN, ""), Check("d", PASS, "")]
    assert [one.id for one in validity.worst_first(chosen)] == ["c", "b", "a", "d"]
    assert str(Check("site_and_view", NOT_ASSESSED, "unknown")) == "n/a   site and view       unknown"


@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        (TutorialRecipe(), []),
        (TutorialRecipe(pooling="global"), ["--pooling", "global"]),
        (ProbeRecipe(), ["--recipe", "probe"]),
        (ProbeRecipe(pooling="global"), ["--recipe", "probe", "--pooling", "global"]),
    ],
)
def test_a_data_set_is_audited_by_the_recipe_of_the_run(recipe, flags):
    assert validity.audit_flags(Path("my data"), recipe) == ["-d", "my data", *flags]


def test_advice_names_the_audit_of_this_data_set():
    extractor = extractor_of(Case((24, 24), site=lambda positive, number: "ab"[positive]))
    evaluated = outcome_of(extractor, np.linspace(0, 1, 48))
    found = compute_metrics(extractor, evaluated, MetricSettings(0, 0, False))
    audit = "covid19-audit -d '/x/audit_covid19.py/{y}' --recipe probe"
    run = Run(extractor, evaluated, found, TutorialRecipe(), extractor.patients, [], "covid19-train -d x", audit)
    advice = {one.id: one.recommendation for one in validity.run_checks(run)}
    assert advice["site_and_view"] == f"Run {audit} --controls DIR, with images of the same site without the disease."
