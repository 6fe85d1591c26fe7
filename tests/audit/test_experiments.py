"""Experiments stand alone: in any order, one by one, or twice, they find the same."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from audit_helpers import Case, audit_of

from detector.audit import evidence as conclusion
from detector.audit import evidence as findings
from detector.audit import experiments
from detector.audit.evidence import Evidence, conclude

SIGNAL = Case((24, 24), signal=0.8)


@pytest.fixture(scope="module")
def in_order():
    return {one.id: one for one in experiments.run_experiments(audit_of(SIGNAL))}


@pytest.mark.parametrize("seed", range(3))
def test_the_order_does_not_matter(in_order, seed):
    permuted = random.Random(seed).sample(experiments.EXPERIMENTS, len(experiments.EXPERIMENTS))
    assert {one.id: one for one in experiments.run_experiments(audit_of(SIGNAL), permuted)} == in_order


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=lambda one: one.id)
def test_each_experiment_works_alone(in_order, experiment):
    found = experiments.run_experiments(audit_of(SIGNAL), [experiment])
    assert found == [in_order[experiment.id]] if experiment.id in in_order else not found


def test_ids_and_groups():
    ids = [one.id for one in experiments.EXPERIMENTS]
    assert len(set(ids)) == len(ids)
    assert {one.group for one in experiments.EXPERIMENTS} <= set(experiments.GROUPS)
    assert all(one.id.isidentifier() and one.id.islower() for one in experiments.EXPERIMENTS)


def test_features_of_the_full_image_are_asked_for_once():
    audit = audit_of(SIGNAL)
    experiments.run_experiments(audit)
    assert Counter(audit.extractor.asked)[""] == 1


def test_the_lungs_are_concluded_where_they_are_the_signal(in_order):
    judged = conclude(Evidence(list(in_order.values()), None, "covid", shared_sites=True))
    assert judged.code == conclusion.LUNGS
    assert in_order[experiments.FULL].metric.value > 0.9
    assert in_order[experiments.METADATA].metric.value == 0.5
    assert in_order[experiments.PERMUTED].metric.ci_low < 0.5 < in_order[experiments.PERMUTED].metric.ci_high


def test_the_same_signal_without_the_lungs_is_a_shortcut():
    found = experiments.run_experiments(audit_of(Case((24, 24), signal=1.5, masked=1.5)))
    assert conclude(Evidence(found, None, "covid")).code == conclusion.SHORTCUT


def test_images_of_unknown_site_are_not_compared_with_each_other():
    found = {one.id: one for one in experiments.run_experiments(audit_of(Case(site=lambda positive, number: "")))}
    for name in (experiments.WITHIN, experiments.BORDER_ADJUSTED, experiments.METADATA):
        assert "not known" in found[name].metric.reason
    some = Case((24, 24), site=lambda positive, number: "a" if number < 12 else "")
    found = {one.id: one for one in experiments.run_experiments(audit_of(some))}
    assert found[experiments.WITHIN].metric.n_positive <= 12


@pytest.mark.parametrize(
    ("site", "shared"),
    [
        (lambda positive, number: "a", True),
        (lambda positive, number: "a" if positive else "b", False),
        (lambda positive, number: "", False),
        (lambda positive, number: "a" if positive or number == 0 else "b", False),
    ],
)
def test_whether_classes_share_their_sites(site, shared):
    assert audit_of(Case(site=site)).shares_sites() == shared


def test_noise_is_rarely_a_false_alarm():
    """Of twenty audits of noise none concludes that the lungs separate the classes, and few warn of a shortcut."""
    chosen = [one for one in experiments.EXPERIMENTS if one.id in (experiments.FULL, *findings.FOREIGN)]
    codes = []
    for seed in range(20):
        found = experiments.run_experiments(audit_of(Case((24, 24), seed=seed)), chosen)
        codes.append(conclude(Evidence(found, None, "covid", shared_sites=True)).code)
    assert codes.count(conclusion.NO_SIGNAL) >= 17
    assert conclusion.LUNGS not in codes
    assert np.isin(codes, [conclusion.NO_SIGNAL, conclusion.SHORTCUT, conclusion.INCONCLUSIVE]).all()
