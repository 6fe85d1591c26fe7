"""Figures whose answer is known: by hand, as published, as another library computes them, or planted into phantoms."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from conftest import classes, inside, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.audit import subgroups
from detector.audit.linear_baseline import linear_scores
from detector.audit.metrics import Scored, among_alike_films, within_source
from detector.images import duplicates, phantom
from detector.images.border import NAMES, frame_traits
from detector.statistics import probabilities, roc
from detector.statistics.strata import comparable, holding_two_classes

ONES = np.ones((1, 400))


# Areas


@pytest.mark.parametrize(("value", "positives", "negatives"), [(1.0, 10, 10), (0.5, 20, 20), (0.8, 30, 7)])
def test_newcombes_interval_surrounds_and_mirrors(value, positives, negatives):
    low, high = roc.newcombe_interval(value, positives, negatives)
    assert low < value <= high <= 1.0
    assert (low, high) == pytest.approx(
        [1 - bound for bound in roc.newcombe_interval(1 - value, positives, negatives)[::-1]], abs=1e-6
    )


def test_newcombes_equation_holds_at_its_bounds():
    """At a bound the square of the distance is z² times the variance of the exponential model there."""
    for value, m, n in ((0.9, 14, 18), (1.0, 14, 18), (0.7, 5, 60)):
        for bound in roc.newcombe_interval(value, m, n):
            if 0 < bound < 1:
                mean = (m + n) / 2 - 1
                variance = (
                    bound * (1 - bound) * (1 + mean * ((1 - bound) / (2 - bound) + bound / (1 + bound))) / (m * n)
                )
                assert (value - bound) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-4)


def test_a_perfect_area_is_somewhere():
    scores, truth = np.arange(20.0)[None], np.arange(20) > 9
    area = roc.patient_area(scores, truth, np.arange(20).astype(str), 0)
    assert area.value == area.high == 1.0
    assert 0.6 < area.low < 0.9
    pairs = roc.patient_area(scores, truth, (np.arange(20) // 2).astype(str), 0)
    assert pairs.low < area.low, "half as many people tell less"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 999), st.integers(1, 4))
def test_areas_within_strata_are_van_elterens(seed, count):
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(seed)
    scores, truth = generator.integers(0, 6, 60).astype(float), generator.random(60) < 0.4
    strata = generator.integers(0, count, 60).astype(str)
    won = total = 0.0
    for name in set(strata):
        rows = strata == name
        p, q = truth[rows].sum(), (~truth[rows]).sum()
        if p and q:
            share = p * q / (p + q + 1)
            won, total = won + share * roc_auc_score(truth[rows], scores[rows]), total + share
    found = roc.weighted_auc(scores, truth, np.ones((1, 60)), strata)[0]
    assert (np.isnan(found) and not total) or found == pytest.approx(won / total)


def test_a_shift_between_sources_is_no_matter_within_them():
    generator = np.random.default_rng(0)
    truth = generator.random(300) < 0.5
    source = np.where(generator.random(300) < np.where(truth, 0.8, 0.2), "a", "b")
    scores = generator.normal(0, 1, 300) + 5.0 * (source == "a")
    people = np.arange(300).astype(str)
    across = roc.patient_area(scores[None], truth, people, 0)
    scored = Scored(scores[None], truth, people, source, None, 0)
    within = within_source(scored)
    assert across.value > 0.75
    assert within.low < 0.5 < within.high
    assert among_alike_films(scored).startswith("undefined")
    alone = Scored(scores[None], truth, people, np.where(truth, "a", "b"), None, 0)
    assert within_source(alone) == "undefined, no source holds both classes"


def test_which_strata_hold_two_classes():
    labels, strata = np.array([0, 1, 0, 1, 0, 1]), np.array(["a", "a", "b", "", "", "c"])
    assert holding_two_classes(labels, strata).tolist() == [True, True, False, False, False, False]
    assert comparable(labels, strata, 2) and not comparable(labels[2:], strata[2:], 2)


# Probabilities


def test_probabilities_as_scikit_learn_counts_them():
    from sklearn.metrics import average_precision_score, brier_score_loss

    generator = np.random.default_rng(1)
    scores = generator.random(400).round(2)
    truth = generator.random(400) < scores
    assert probabilities.brier(scores, truth, ONES)[0] == pytest.approx(brier_score_loss(truth, scores))
    found = probabilities.average_precision(scores, truth, ONES)[0]
    assert found == pytest.approx(average_precision_score(truth, scores))


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-1.0, 1.0), (0.5, 0.5), (0.0, 2.0)])
def test_calibration_is_found_again(intercept, slope):
    """Outcomes are drawn of the logit intercept + slope · predicted logit."""
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 1.5, 40_000)
    truth = generator.random(40_000) < 1 / (1 + np.exp(-(intercept + slope * logits)))
    found = probabilities.recalibration(1 / (1 + np.exp(-logits)), truth, np.ones((1, 40_000)))[0]
    assert found == pytest.approx([intercept, slope], abs=0.06)


def test_predictive_values_by_bayes():
    ppv, npv = probabilities.predictive_values(0.9, 0.95, 200, 300, 0.01)
    assert ppv.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.05 * 0.99))
    assert npv.value == pytest.approx(0.95 * 0.99 / (0.95 * 0.99 + 0.1 * 0.01))
    assert ppv.low < ppv.value < ppv.high and npv.low < npv.value < npv.high


def test_reliability_of_honest_probabilities_is_the_diagonal():
    generator = np.random.default_rng(3)
    said = generator.random(3000)
    draws = generator.multinomial(3000, np.full(3000, 1 / 3000), 100).astype(float)
    curve = probabilities.reliability_curve(said, generator.random(3000) < said, draws)
    grid, middle, low, high = (np.asarray(part) for part in curve)
    inner = (grid > 0.05) & (grid < 0.95)
    assert np.abs(middle - grid)[inner].max() < 0.12
    assert (low <= high).all() and ((low <= grid) & (grid <= high))[inner].mean() > 0.8


# The border, where the answer is known


drawn = functools.cache(phantom.draw)


def planted(change, n=24, seed=0):
    """Return border properties of phantoms, those of the first class changed, and which these are."""
    truth = np.arange(2 * n) < n
    films = [drawn(bool(ill), seed * 1000 + i) for i, ill in enumerate(truth)]
    return np.array(
        [frame_traits(change(film) if ill else film) for film, ill in zip(films, truth, strict=True)]
    ), truth


def blurred(film):
    import cv2

    return cv2.GaussianBlur(film, (0, 0), 1.2)


def darkened(film):
    return (255 * (film / 255) ** 1.25).round().astype(np.uint8)


def marked(film):
    film = film.copy()
    film[8:40, 470:500] = 255
    return film


@pytest.mark.parametrize(("change", "least"), [(blurred, 0.98), (darkened, 0.7), (marked, 0.95)])
def test_the_frame_shows_what_was_planted(change, least):
    properties, truth = planted(change)
    scores = linear_scores(properties, truth, np.arange(len(truth)).astype(str), 0)
    assert roc.auc(scores[truth], scores[~truth]) > least


def test_the_frame_of_clean_phantoms_shows_nothing():
    """On average over seeds: a single draw of few phantoms may differ in exposure by luck."""
    found = []
    for seed in range(3):
        properties, truth = planted(lambda film: film, 12, seed)
        scores = linear_scores(properties, truth, np.arange(len(truth)).astype(str), 0)
        found.append(roc.auc(scores[truth], scores[~truth]))
    assert 0.3 < np.mean(found) < 0.65


def test_the_frame_does_not_see_the_chest():
    film = phantom.draw(True, 1)
    other = film.copy()
    other[70:440, 70:440] = np.random.default_rng(0).integers(0, 255, (370, 370))
    assert frame_traits(film) == frame_traits(other)
    assert len(frame_traits(film)) == len(NAMES) == 13
    assert frame_traits(np.stack([film] * 3, axis=-1)) == pytest.approx(frame_traits(film), abs=2e-3)


# Near duplicates


def test_a_film_of_two_journals_is_of_one_person(tmp_path):
    """Scaled, cropped a little and compressed anew, under another patient number: the split and the printout know."""
    classes(tmp_path / "data", covid=5, normal=5)
    picture(tmp_path / "film.png", 77, (512, 512))
    with Image.open(tmp_path / "film.png") as film:
        film.resize((400, 400)).save(tmp_path / "data" / "covid" / "NORMAL2-IM-0007-0001.jpeg", quality=70)
        film.crop((2, 2, 510, 510)).save(tmp_path / "data" / "covid" / "person9_virus_1.jpeg", quality=90)
    done = inside("train_covid19.py", "-d", "data", "--recipe", "probe", "--folds", 2, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "near duplicates, whose patients count as one person: covid/NORMAL2-IM-0007-0001.jpeg = " in done.stdout
    assert "12 held-out images of 11 patients" in done.stdout


def test_near_pairs_of_many_images_are_found_fast_and_all():
    """Against a plain comparison of every pair."""
    generator = np.random.default_rng(0)
    words = generator.integers(0, 2**63, (700, 4)).astype(np.uint64)
    words[650:] = words[:50] ^ (np.uint64(1) << generator.integers(0, 63, (50, 4)).astype(np.uint64))
    found = duplicates.near_pairs([one.tobytes().hex() for one in words])
    bits = np.unpackbits(words.view(np.uint8).reshape(700, -1), axis=1).astype(np.int32)
    distance = bits @ (1 - bits).T + (1 - bits) @ bits.T
    assert found == [(i, j) for i, j in zip(*np.nonzero(distance <= duplicates.NEAR_BITS), strict=True) if i < j]
    assert len(found) == 50


# Subgroups


def test_bands_and_missing_values():
    assert [subgroups.age_band(text) for text in ("0", "17.5", "18", "59", "60", "80", "130", "", "x")] == [
        *("0-17", "0-17", "18-39", "40-59", "60-79", "80-129", "", "", "")
    ]
    assert subgroups.known("unknown") == subgroups.known("") == "" and subgroups.known(" F ") == "F"
    assert str(subgroups.Subgroup("sex", "F", 7)).endswith("too few")
