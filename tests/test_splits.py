"""Splits, data sets, evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import classes, picture, refusal
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.datasets import dataset, manifest
from detector.statistics import evaluation, intervals, roc, split

# Split


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
        train, held_out = split.by_patient(labels, patients, names, size, seed)
    except InputError as error:
        assert "class" in str(error) or "leaves no" in str(error)
        return
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert not set(patients[train]) & set(patients[held_out])
    assert set(labels[train]) == set(labels[held_out]) == set(range(len(names)))
    again = split.by_patient(labels, patients, names, size, seed)
    assert np.array_equal(again[1], held_out)


@settings(max_examples=60, deadline=None)
@given(labelled_patients(), st.integers(2, 5), st.integers(0, 9))
def test_folds_hold_every_image_out_once(case, count, seed):
    labels, patients, names = case
    try:
        chosen = list(split.folds(labels, patients, names, count, seed))
    except InputError:
        assume(False)
    assert sorted(np.concatenate([held_out for _, held_out in chosen])) == list(range(len(labels)))
    for train, held_out in chosen:
        assert not set(patients[train]) & set(patients[held_out])


def test_the_share_held_out_is_near_the_one_asked_for():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [72, 90])
    patients = np.where(labels == 0, generator.integers(0, 46, 162), 100 + np.arange(162)).astype(str)
    for seed in range(20):
        _, held_out = split.by_patient(labels, patients, ["covid", "normal"], 0.2, seed)
        assert abs((labels[held_out] == 0).sum() - 14.4) <= 2
        assert abs((labels[held_out] == 1).sum() - 18) <= 1


def test_splits_that_cannot_be():
    with refusal("class covid has images of one patient only"):
        split.by_patient(np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "c"]), ["covid", "normal"], 0.2, 0)
    with refusal("too few to hold out"):
        split.by_image(np.array([0, 1, 1, 1, 1]), ["covid", "normal"], 0.2, 0)
    with refusal("too few for 5 folds"):
        list(split.folds(np.array([0, 1, 1]), np.array(["a", "b", "c"]), ["covid", "normal"], 5, 0))


# Data set


def test_labels_are_folders_and_manifests_tell_patients_and_sources(tmp_path):
    classes(tmp_path, covid=2, normal=2)
    manifest.write(
        tmp_path / "covid", [{"file": "covid-000.png", "patient": "7", "source": "cohen", "label": "x", "sha256": ""}]
    )
    picture(tmp_path / "normal" / "IM-0033-0001-0002.jpeg", 9)
    found = dataset.load(tmp_path)
    assert found.classes == ["covid", "normal"]
    assert [image.patient for image in found.images] == ["cohen/7", None, f"{'chest-xray-pneumonia'}/0033", None, None]
    assert [image.source for image in found.images] == ["cohen", "", "chest-xray-pneumonia", "", ""]
    assert [image.label for image in found.images] == ["covid"] * 2 + ["normal"] * 3


def test_two_patients_who_share_an_image_are_one():
    images = [
        dataset.Image(None, f"{i}.png", "covid", patient, "", "", {})
        for i, patient in enumerate(["c/1", "c/2", "c/2", None, "c/3"])
    ]
    same = dataset.patients(images, ["a", "a", "b", "d", "e"])
    assert same[0] == same[1] == same[2]
    assert len(set(same)) == 3


def test_a_class_folder_may_be_a_link(tmp_path):
    classes(tmp_path / "elsewhere", covid=2)
    classes(tmp_path / "data", normal=2)
    (tmp_path / "data" / "covid").symlink_to(tmp_path / "elsewhere" / "covid")
    assert dataset.load(tmp_path / "data").counts() == {"covid": 2, "normal": 2}


# Evaluation


def test_wilson_as_published():
    """9 of 10: the textbook's interval (Newcombe 1998 computes it alike)."""
    nine = intervals.proportion(9, 10)
    assert (round(nine.low, 4), round(nine.high, 4)) == (0.5958, 0.9821)
    assert str(intervals.proportion(5, 5)) == "1.0000 (95% CI 0.5655-1.0000, n=5)"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_auc_counts_pairs(positive, negative):
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert roc.auc(np.array(positive, float), np.array(negative, float)) == pytest.approx(np.mean(pairs))


def test_evaluation_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    said = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]])
    result = evaluation.evaluate(labels, said, ["covid", "normal"], "covid", 0)
    assert result.confusion.tolist() == [[2, 1], [1, 3]]
    assert (result.sensitivity.hits, result.sensitivity.n) == (2, 3)
    assert (result.specificity.hits, result.specificity.n) == (3, 4)
    assert result.auc.value == pytest.approx(10 / 12)
    assert result.auc.low < result.auc.value < result.auc.high
    stricter = evaluation.evaluate(labels, said, ["covid", "normal"], "covid", 0, threshold=0.7)
    assert stricter.confusion.tolist() == [[2, 1], [0, 4]]


def test_the_bootstrap_covers_what_it_should():
    """Of 60 samples from two normals whose AUC is 0.76, about 95 in 100 intervals hold it."""
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        scores = np.concatenate([generator.normal(1, 1, 40), generator.normal(0, 1, 40)])
        found = roc.patient_area(scores[None], np.arange(80) < 40, np.arange(80), seed)
        covered += found.low <= 0.7602 <= found.high
    assert covered >= 51


def test_the_roc_band_surrounds_the_curve():
    from sklearn.metrics import roc_curve

    generator = np.random.default_rng(0)
    scores, truth = np.concatenate([generator.normal(1, 1, 60), generator.normal(0, 1, 60)]), np.arange(120) < 60
    grid, low, high = roc.roc_band(scores, truth, 0)
    false_rate, true_rate, _ = roc_curve(truth, scores)
    inside = np.interp(grid, false_rate, true_rate)
    assert (low <= high).all()
    assert ((low <= inside + 0.03) & (inside <= high + 0.03)).mean() > 0.95
