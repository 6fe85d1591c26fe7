"""Experiments stand alone: one by one they find what they find together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import Case, audit_of

from detector.audit import evidence, experiments
from detector.audit.context import CONTROLS
from detector.audit.evidence import conclude

SIGNAL = Case((24, 24), signal=0.8)


def alone(audit, names):
    """Run some experiments only."""
    groups = experiments.EXPERIMENTS.items()
    chosen = {group: {name: one for name, one in every.items() if name in names} for group, every in groups}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "EXPERIMENTS", chosen)
        return experiments.run_experiments(audit)


@pytest.fixture(scope="module")
def in_order():
    return {one.id: one for one in experiments.run_experiments(audit_of(SIGNAL))}


@pytest.mark.parametrize("name", [name for group in experiments.EXPERIMENTS.values() for name in group])
def test_each_experiment_works_alone(in_order, name):
    found = alone(audit_of(SIGNAL), [name])
    assert found == [in_order[name]] if name in in_order else not found


def test_no_source_is_present_where_the_lungs_are_the_signal(in_order):
    judged = conclude([*in_order.values()], None, "covid", shared_sites=True)
    assert judged.code in (evidence.LUNGS, evidence.INCONCLUSIVE), "24 images a class show no more"
    assert evidence.PRESENT not in {row.state for row in judged.rows}
    assert in_order[evidence.FULL].metric.value > 0.9
    assert in_order[evidence.METADATA].metric.value == 0.5


def test_the_same_signal_without_the_lungs_is_a_shortcut():
    found = experiments.run_experiments(audit_of(Case((24, 24), signal=1.5, masked=1.5)))
    judged = conclude(found, None, "covid")
    assert judged.code in (evidence.SHORTCUT, evidence.MIXED)
    assert {row.id for row in judged.rows if row.state == evidence.PRESENT} == {evidence.MASKED_OUT}


def test_images_of_unknown_site_are_not_compared_with_each_other():
    found = {one.id: one for one in experiments.run_experiments(audit_of(Case(site=lambda positive, number: "")))}
    for name in (evidence.STRATIFIED, evidence.BORDER_ADJUSTED, evidence.METADATA):
        assert "not known" in found[name].metric.reason
    some = Case((24, 24), site=lambda positive, number: "a" if number < 12 else "")
    found = {one.id: one for one in experiments.run_experiments(audit_of(some))}
    assert found[evidence.STRATIFIED].metric.n_positive <= 12


def test_what_is_left_without_the_lungs_is_compared_with_shapes_in_pairs():
    audits = (audit_of(Case((24, 24), masked=one)) for one in (0.0, 1.5))
    nothing, something = (experiments.differences(one, experiments.run_experiments(one)) for one in audits)
    for name in evidence.DIFFERENCES[:2]:
        assert nothing[name].low < 0 < nothing[name].high and something[name].low > 0
    # Of the same features, which the lungs alone have here.
    assert nothing[evidence.LUNGS_ALONE, evidence.FULL].point == 0


# Same-site controls


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


def of_controls(audit):
    return {one.id: one for one in alone(audit, experiments.EXPERIMENTS[evidence.SAME_SITES])}


def test_without_controls_nothing_is_asked_or_the_reason_is_given():
    audit = audit_of(Case())
    assert of_controls(audit) == {} and experiments.controls_predicted_positive(audit) is None
    left_out = of_controls(replace(audit, sets=replace(audit.sets, notes={"": "3 images are in the data set"})))
    assert {one.metric.reason for one in left_out.values()} == {"every control was left out"}
    assert [one.notes for one in left_out.values()] == [("3 images are in the data set",), (), ()]


def test_controls_that_look_like_positives_are_separated_from_others_only():
    found = of_controls(with_controls(Case((48, 24), signal=3.0), 24))
    assert found[evidence.CONTROLS_V_OTHERS].metric.low > 0.8
    disease = found[evidence.SAME_SITE].metric
    assert disease.low < 0.5 < disease.high
    assert (disease.n_positive, disease.n_negative) == (24, 24)


# Permuted labels, on request


def permuted(case: Case, patients=None):
    audit = audit_of(case)
    options = replace(audit.options, permuted_labels=19)
    extractor = audit.extractor if patients is None else replace(audit.extractor, patients=patients)
    return experiments.permuted_labels(replace(audit, options=options, extractor=extractor))


def test_a_signal_exceeds_every_permutation_and_noise_does_not():
    signal, noise = permuted(SIGNAL), permuted(Case((24, 24)))
    assert signal.notes[0].startswith("p = 0.050: 19 permutations, full image 0.9")
    assert float(noise.notes[0][4:9]) > 0.1
    assert signal.metric.low < 0.5 < signal.metric.high and abs(signal.metric.point - 0.5) < 0.1


def test_labels_are_permuted_of_patients_with_images_of_both_classes_too():
    found = permuted(Case((30, 30)), np.array([f"p{number % 30}" for number in range(60)])).metric
    assert found.available and found.low < 0.5 < found.high
