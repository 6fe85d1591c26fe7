"""The rules: what is present, what is excluded, what is not known; and what to do next."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.audit import evidence as rules
from detector.audit.evidence import INCONCLUSIVE, LUNGS, MIXED, NO_SIGNAL, SHORTCUT, conclude
from detector.audit.experiments import EXPERIMENTS
from detector.statistics.metric import Metric, too_few

IDS = {
    "full": rules.FULL,
    "outside": rules.MASKED_OUT,
    "lungs": rules.LUNGS_ALONE,
    "shape": rules.MASKED_REGION,
    "files": rules.FILES,
    "border": rules.BORDER,
    "sites": rules.METADATA,
    "age": rules.AGE,
    "view": rules.VIEW,
    "sex": rules.SEX,
    "controls_v_others": rules.CONTROLS_V_OTHERS,
    "same_site": rules.SAME_SITE,
    "external": "external:x",
}
TITLES = {name: (title, group) for group, every in EXPERIMENTS.items() for name, (title, *_) in every.items()}
TITLES["external:x"] = "elsewhere", rules.EXTERNAL
CLEAN = {"full": 0.93, "outside": 0.5, "lungs": 0.91, "shape": 0.5, "files": 0.5, "border": 0.5, "sites": 0.5}
ALL_POSITIVE, FEW_POSITIVE = Metric(1.0, 0.9, 1.0, 0, 38), Metric(0.05, 0.01, 0.17, 0, 38)


def area(value, half=0.05, images=200):
    return Metric(value, max(0.0, value - half), min(1.0, value + half), images, images)


def judged(controls_positive=None, shared_sites=True, half=0.05, images=200, lost=None, **values):
    """Return the conclusion from values by their short names, each with an interval of the same width."""
    metrics = {
        name: one if isinstance(one, Metric) else area(one, half, images) for name, one in (CLEAN | values).items()
    }
    results = [rules.Result(IDS[name], *TITLES[IDS[name]], "", one) for name, one in metrics.items()]
    paired = {}
    if metrics["full"].available and metrics["lungs"].available:
        paired[rules.LUNGS_ALONE, rules.FULL] = area(metrics["lungs"].point - metrics["full"].point, half)
    if metrics["outside"].available and metrics["shape"].available:
        value = metrics["outside"].point - metrics["shape"].point
        paired[rules.MASKED_OUT, rules.MASKED_REGION] = Metric(value, value - half, value + half, images, images)
    if lost is not None:
        paired[rules.LUNGS_ALONE, rules.FULL] = lost
    return conclude(results, controls_positive, "covid", shared_sites, paired)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, LUNGS),
        # Present, the lungs shown to predict or not.
        ({"border": 0.8}, MIXED),
        ({"border": 0.8, "lungs": 0.52}, SHORTCUT),
        ({"sites": 0.9}, MIXED),
        ({"outside": 0.85, "lungs": 0.85}, MIXED),
        ({"files": 0.9}, MIXED),
        ({"age": 0.9}, MIXED),
        ({"controls_positive": ALL_POSITIVE}, SHORTCUT),
        # What is left outside is no more than the shape of the masked region, which follows the disease.
        ({"outside": 0.64, "shape": 0.64}, INCONCLUSIVE),
        ({"outside": 0.69, "shape": 0.5}, MIXED),
        ({"shape": 0.9}, INCONCLUSIVE),
        # Neither present nor excluded.
        ({"border": 0.6, "half": 0.16, "images": 40}, INCONCLUSIVE),
        ({"border": 0.6}, INCONCLUSIVE),
        ({"age": 0.62}, INCONCLUSIVE),
        ({"sites": Metric.unavailable("the site of the images is not known")}, INCONCLUSIVE),
        ({"outside": too_few(3, 3)}, INCONCLUSIVE),
        ({"lungs": too_few(3, 3)}, INCONCLUSIVE),
        ({"lungs": 0.65}, INCONCLUSIVE),
        ({"same_site": 0.52}, INCONCLUSIVE),
        # Controls that differ from normal images are only ill.
        ({"controls_v_others": 0.95, "same_site": 0.93, "controls_positive": FEW_POSITIVE}, LUNGS),
        # An external test set has to keep half of what lies above chance.
        ({"external": Metric(0.62, 0.53, 0.70, 60, 60), "full": 0.95}, INCONCLUSIVE),
        ({"external": 0.85}, LUNGS),
        # No signal: baselines come first, since more images would not remove them.
        ({"full": 0.52}, NO_SIGNAL),
        ({"full": 0.3}, NO_SIGNAL),
        ({"full": 0.52, "border": 0.9}, SHORTCUT),
        ({"full": too_few(9, 9, "images")}, INCONCLUSIVE),
        ({"full": too_few(9, 30, "images"), "view": 0.9}, SHORTCUT),
    ],
)
def test_conclusions(values, code):
    found = judged(**values)
    assert found.code == code
    assert found.message.endswith(".") and found.recommendation.endswith(".") and found.recommendation[0].isupper()
    assert len(found.rows) >= len(rules.SOURCES)
    if code == INCONCLUSIVE:
        assert any(row.state == rules.UNDETERMINED for row in found.rows) or {"lungs", "full"} & set(values)


def test_the_lungs_need_sources_that_are_shown_not_to_predict():
    """The same values from few images: absence of evidence is no evidence of absence."""
    assert judged(half=0.05, images=200).code == LUNGS
    few = judged(half=0.26, images=20)
    assert few.code == INCONCLUSIVE
    assert "image border: ROC AUC 0.50 (0.24–0.76), not shown to be below 0.75" in "; ".join(few.reasons)
    assert "to about 22 patients of each class" in few.recommendation


def test_the_limit_is_lower_where_there_are_many_images():
    assert judged(border=0.66, half=0.08, images=99).rows[1].text.endswith("predicts weakly")
    assert judged(border=0.58, half=0.14, images=99).rows[1].state == rules.EXCLUDED
    assert judged(border=0.58, half=0.14, images=100).rows[1].state == rules.UNDETERMINED


def test_what_the_shape_of_the_lungs_predicts_as_well_is_no_source():
    row = judged(outside=0.98, shape=0.96).rows[2]
    assert row.state == rules.EXCLUDED and row.text.endswith("hardly more than the shape of the lungs predicts")
    assert judged(shape=0.9).rows[4].text.endswith("which opacities at the edge of a lung can cause, too")


def test_what_is_not_recorded_is_named():
    assert "Not tested, since it is not recorded: view, age, sex." in judged().message
    assert "Not tested" not in judged(view=0.5, age=0.5, sex=0.5).message


def test_the_half_that_the_lungs_keep_has_an_interval():
    assert judged(lungs=0.80, half=0.05).code == LUNGS
    assert judged(lungs=0.80, lost=Metric(-0.13, -0.3, 0.0, 200, 200)).code == INCONCLUSIVE


def test_next_steps_name_what_to_change():
    assert "--external DIR -m MODEL" in judged().recommendation
    assert "the classes do not differ in age" in judged(age=0.9).recommendation
    assert "same sites" in judged(sites=0.9, shared_sites=False).recommendation
    assert "--masks" in judged(outside=too_few(3, 3)).recommendation
    assert "source" in judged(full=0.3).recommendation
    assert "column site" in judged(sites=Metric.unavailable("the site of the images is not known")).recommendation


@given(st.dictionaries(st.sampled_from(list(IDS)), st.floats(0.2, 1.0)), st.floats(0.02, 0.3))
def test_the_worst_row_decides(values, half):
    found = judged(half=half, **values)
    states = {row.state for row in found.rows}
    assert found.code != LUNGS or states <= {rules.EXCLUDED, rules.NOT_TESTED}
    assert found.code not in (SHORTCUT, MIXED) or rules.PRESENT in states
    assert rules.PRESENT not in states or found.code in (SHORTCUT, MIXED)


def test_a_share_of_the_simulation_reaches_its_rates():
    command = [sys.executable, "-m", "tools.benchmarks.rules", "--sets", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("asked") == 1 and done.stdout.count("\n") == 21
