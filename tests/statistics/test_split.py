"""Strata; splits and folds: no patient on both sides, every class on each, no partition twice."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import rejection
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.statistics import split, strata
from detector.statistics.strata import crossed, holding_two_classes


def test_which_strata_hold_two_classes():
    labels, strata = np.array([0, 1, 0, 1, 0, 1]), np.array(["a", "a", "b", "", "", "c"])
    assert holding_two_classes(labels, strata).tolist() == [True, True, False, False, False, False]


def test_crossed_strata_agree_in_every_property_and_unknown_ones_in_none():
    folds = np.array([[0, 0, 1, 1, 0], [1, 0, 1, 0, 0]])
    found = crossed(np.array(["a", "a", "a", "", "b"]), folds)
    assert found.shape == (2, 5)
    assert (found[:, 3] == -1).all()
    assert found[0, 0] == found[0, 1] != found[0, 2]
    assert found[1, 0] == found[1, 2] != found[1, 1]
    assert len({*found[0, [0, 2, 4]]}) == 3


def test_spread_is_the_standard_deviation_of_what_is_not_nearly_constant():
    features = np.random.default_rng(0).normal(0, [1.0, 2.0, 3.0, 1e-3, 0.0], (500, 5)) + np.array([0, 0, 0, 0, 7])
    found = strata.spread(features)
    assert found[:3] == pytest.approx(features[:, :3].std(axis=0))
    assert found[3] == pytest.approx(strata.LEAST_SPREAD * np.median(features[:, :4].std(axis=0)))
    assert found[4] == np.inf
    assert (strata.spread(np.ones((4, 2))) == np.inf).all()


@st.composite
def labelled_patients(draw):
    n = draw(st.integers(6, 60))
    classes_ = draw(st.integers(2, 4))
    labels = draw(st.lists(st.integers(0, classes_ - 1), min_size=n, max_size=n))
    patients = draw(st.lists(st.integers(0, n), min_size=n, max_size=n))
    return np.array(labels), np.array([f"p{p}" for p in patients]), [f"c{i}" for i in range(classes_)]


@settings(max_examples=300, deadline=None)
@given(labelled_patients(), st.floats(0.05, 0.6), st.integers(0, 99))
def test_no_patient_is_on_both_sides_and_every_class_is(case, size, seed):
    labels, patients, names = case
    try:
        [(_, _, train, held_out)] = split.hold_out(labels, patients, names, size, seed)
    except InputError as error:
        assert "class" in str(error) or "leaves no" in str(error)
        return
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert not set(patients[train]) & set(patients[held_out])
    assert set(labels[train]) == set(labels[held_out]) == set(range(len(names)))
    again = split.hold_out(labels, patients, names, size, seed)
    assert np.array_equal(again.held_out, held_out)


@settings(max_examples=60, deadline=None)
@given(labelled_patients(), st.integers(2, 5), st.integers(0, 9))
def test_folds_hold_every_image_out_once(case, count, seed):
    labels, patients, names = case
    try:
        plan = split.draw_folds(labels, patients, names, count, 2, seed)
    except InputError:
        assume(False)
    for repeat in range(2):
        chosen = [(train, held_out) for one, _, train, held_out in plan if one == repeat]
        assert sorted(np.concatenate([held_out for _, held_out in chosen])) == list(range(len(labels)))
        for fold, (train, held_out) in enumerate(chosen):
            assert not set(patients[train]) & set(patients[held_out])
            assert set(np.flatnonzero(plan.folds[repeat] == fold)) == set(held_out)


@pytest.mark.parametrize("images", [1, 4])
def test_each_fold_has_the_share_of_each_class(images):
    """Within one patient: folds of scikit-learn's shuffle=True before 1.8 had 0 to 75 % of one class."""
    for seed in range(20):
        labels = np.random.default_rng(seed).permutation(np.arange(43) % 3 == 0).astype(int).repeat(images)
        plan = split.draw_folds(labels, np.arange(43).repeat(images), ["a", "b"], 5, 1, seed)
        held = np.array([np.bincount(labels[held_out]) for _, _, _, held_out in plan])
        assert (np.ptp(held, axis=0) <= images).all()


def test_no_partition_is_drawn_twice():
    """Seeds 42 and 43 share none in twenty repeats each, and no fit has the seed of another."""
    labels, patients = np.arange(60) % 2, np.arange(60).astype(str)
    plans = [split.draw_folds(labels, patients, ["covid", "normal"], 5, 20, seed) for seed in (42, 43)]
    partitions = {frozenset(frozenset(held_out) for _, held_out in sides) for plan in plans for sides in plan.repeats}
    assert len(partitions) == 40
    seeds = {plan.seed_of(repeat, fold) for plan in plans for repeat, fold, _, _ in plan}
    assert len(seeds) == sum(map(len, plans)) == 200


def test_the_share_held_out_is_near_the_one_asked_for():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [72, 90])
    patients = np.where(labels == 0, generator.integers(0, 46, 162), 100 + np.arange(162)).astype(str)
    for seed in range(20):
        held_out = split.hold_out(labels, patients, ["covid", "normal"], 0.2, seed).held_out
        assert abs((labels[held_out] == 0).sum() - 14.4) <= 2
        assert abs((labels[held_out] == 1).sum() - 18) <= 1


def test_splits_that_cannot_be():
    with rejection("class covid has images of one patient only"):
        split.hold_out(np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "c"]), ["covid", "normal"], 0.2, 0)
    with rejection("too few to hold out"):
        split.hold_out(np.array([0, 1, 1, 1, 1]), None, ["covid", "normal"], 0.2, 0)
    with rejection("class covid has 2 patients, too few for 5 folds; use --folds 2, or add patients"):
        split.draw_folds(np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "d"]), ["covid", "normal"], 5, 1, 0)
    with rejection("class covid has 1 patient, too few for 5 folds; add patients"):
        split.draw_folds(np.array([0, 1, 1]), np.array(["a", "b", "c"]), ["covid", "normal"], 5, 1, 0)


def test_a_split_without_a_class_is_rejected(monkeypatch):
    labels = np.array([0, 0, 1, 1])
    with rejection("leaves no covid among the training images"):
        split.hold_out(np.array([0, 0, 0, 1, 1]), np.array(list("abcbc")), ["covid", "normal"], 0.9, 0)
    monkeypatch.setattr(split, "ATTEMPTS", 0)
    with rejection("no 2 folds could be drawn that all have every class, patients kept whole; add patients"):
        split.draw_folds(labels, np.arange(4).astype(str), ["covid", "normal"], 2, 1, 0)
    with rejection("no 3 folds could be drawn that all have every class, patients kept whole; use fewer folds"):
        split.draw_folds(np.repeat([0, 1], 3), np.arange(6).astype(str), ["covid", "normal"], 3, 1, 0)
