"""Where the model looks: against boxes that are known, and against chance."""

from __future__ import annotations

import numpy as np
import pytest
from audit_helpers import Case, FakeExtractor, audit_of, lungs
from conftest import classes, inside, rejected

from detector.audit import localisation
from detector.audit.localisation import IN_BOXES, IN_LUNGS, POINTING, Localisation, check, compare, localise, locate
from detector.datasets import manifest
from detector.datasets.dataset import boxes_of
from detector.images.masks import boxed
from detector.reports import run_record

LUNGS = lungs()
BOX = (0.2, 0.4, 0.2, 0.2)
PATIENTS = np.arange(40).astype(str)


def pointing_at(row: int, column: int) -> np.ndarray:
    heat = np.full((14, 14), 0.01)
    heat[row, column] = 1.0
    return heat


RIGHT = (0.6, 0.4, 0.2, 0.2)
AT_LEFT, AT_RIGHT = pointing_at(7, 4), pointing_at(7, 9)


def of(maps) -> dict:
    """Return metrics of maps of images whose boxes lie at the left and at the right in turn."""
    located = [locate(i, ((BOX, RIGHT)[i % 2],), heat, LUNGS) for i, heat in enumerate(maps)]
    return compare(located, PATIENTS[: len(maps)], 0)


def judged(maps, pooling="global"):
    return check(Localisation([], of(maps)), pooling)


def test_a_random_point_of_the_lungs_is_exact():
    one = locate(0, (BOX,), pointing_at(7, 4), LUNGS)
    inside = [BOX[0] <= (x + 0.5) / 224 <= 0.4 and 0.4 <= (y + 0.5) / 224 <= 0.6 for y, x in np.argwhere(LUNGS)]
    assert one.random == pytest.approx(np.mean(inside))
    assert one.lungs.mean() == pytest.approx(LUNGS.mean())
    assert one.in_boxes > boxed([BOX]).mean()


def test_random_maps_seldom_pass():
    """Maxima drawn from the lungs: of forty audits, about one passes by luck."""
    generator = np.random.default_rng(0)
    share = LUNGS.reshape(14, 16, 14, 16).mean(axis=(1, 3)).ravel()
    cells = np.argwhere(np.ones((14, 14)))
    found, passed = [], 0
    for _ in range(40):
        rectangles = [(*generator.uniform(0.2, 0.5, 2), 0.2, 0.2) for _ in range(30)]
        located = [
            locate(i, (box,), pointing_at(*cells[generator.choice(196, p=share / share.sum())]), LUNGS)
            for i, box in enumerate(rectangles)
        ]
        metrics = compare(located, PATIENTS[:30], 0)
        found.append(metrics[POINTING]["difference"].value)
        passed += check(Localisation([], metrics), "global").status == "pass"
    assert abs(np.mean(found)) < 0.03
    assert passed <= 5


def test_three_states():
    follows, nowhere = [AT_LEFT, AT_RIGHT] * 14, [pointing_at(0, 0)]
    seen, unseen = judged([*follows, *nowhere * 2]), judged([AT_LEFT, *nowhere * 29])
    assert seen.status == "pass" and seen.message.startswith("Grad-CAM follows the boxes: maximum in a box 0.93")
    assert unseen.status == "warn" and "not shown to follow" in unseen.message and unseen.recommendation
    assert "--pooling global" in judged([AT_LEFT, *nowhere * 29], "tutorial").recommendation
    assert check(Localisation([], {}, "no boxes"), "global").status == "not_assessed"


@pytest.mark.parametrize("place", [(7, 4), (0, 0)])
def test_a_map_that_is_the_same_in_every_image_never_passes(place):
    """It lies in half of the boxes, more often than a random point of the lungs does."""
    found = of([pointing_at(*place)] * 30)[POINTING]
    assert found["difference"].value == 0.0
    assert judged([pointing_at(*place)] * 30).status == "warn"
    if place == (7, 4):
        assert found["found"].value == 0.5 > found["random"].value + 0.1


def test_a_map_of_nothing_is_a_miss():
    assert locate(0, (BOX,), np.zeros((14, 14)), LUNGS).in_boxes == 0.0
    assert of([AT_LEFT, AT_RIGHT] * 10 + [np.zeros((14, 14))] * 10)[POINTING]["found"].value == pytest.approx(2 / 3)


def test_differences_are_paired_and_over_patients():
    generator = np.random.default_rng(1)
    maps = [(AT_LEFT, AT_RIGHT)[i % 2] if generator.random() < 0.5 else pointing_at(0, 0) for i in range(40)]
    located = [locate(i, ((BOX, RIGHT)[i % 2],), heat, LUNGS) for i, heat in enumerate(maps)]
    alone, in_fives = (compare(located, patients, 0)[POINTING] for patients in (PATIENTS, np.sort(np.arange(40) // 5)))
    assert alone["difference"].value == pytest.approx(alone["found"].value - alone["others"].value)
    assert (alone["found"].n_patients, in_fives["found"].n_patients) == (40, 8)
    assert not compare(located, np.zeros(40), 0)[POINTING]["difference"].available


# The data set of a case: which images are looked at


def with_boxes(positive, number):
    return {"boxes": "0.2 0.4 0.2 0.2"} if positive and number < 20 else {}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case(signal=3.0), "no image of covid has boxes"),
        (Case(signal=3.0, row=lambda positive, number: {} if positive else {"boxes": "0 0 1 1"}), "no image of covid"),
        (
            Case((24, 24), signal=3.0, row=lambda positive, number: with_boxes(positive, number + 11)),
            "at least 10 needed",
        ),
    ],
)
def test_why_nothing_can_be_said(case, reason):
    found = localise(audit_of(case))
    assert not found.metrics and reason in found.reason
    assert check(found, "global").status == "not_assessed"
    assert b'"reason": "' in run_record.as_json({"localisation": found})


def test_held_out_images_that_are_predicted_correctly_and_have_boxes(monkeypatch):
    asked = []

    def maps(extractor, head, rows, classes):
        asked.append((head.weights, rows))
        assert (classes == 0).all()
        return [pointing_at(7, 4 if row % 2 else 0) for row in rows]

    monkeypatch.setattr(FakeExtractor, "heat_maps", maps, raising=False)
    audit = audit_of(Case((30, 30), signal=0.4, row=with_boxes))
    found = localise(audit)
    predictions = audit.validated.predictions
    rows = [one.row for one in found.images]
    assert all(len(boxes_of(audit.extractor.dataset.images[row])) == 1 for row in rows)
    assert rows == [row for row in range(20) if predictions.predicted[0][row] == 0]
    assert 10 <= len(rows) < 20
    features = audit.samples.features
    for head, explained in asked:
        for row in explained:
            # The head is that which predicted the image when it was held out, and no other.
            logits = features[row] @ head[0] + head[1]
            of_this = np.exp(logits) / np.exp(logits).sum()
            assert of_this == pytest.approx(predictions.probabilities[0, row], abs=1e-5)
    assert sorted(row for _, explained in asked for row in explained) == rows
    assert found.metrics[POINTING]["found"].value == pytest.approx(np.mean([row % 2 for row in rows]))
    assert {*found.metrics} == {POINTING, IN_BOXES, IN_LUNGS} == {*localisation.TITLES}


def test_a_cell_that_is_no_box_ends_an_audit_before_anything_is_computed(tmp_path):
    classes(tmp_path / "data", covid=2, normal=2)
    row = dict.fromkeys(manifest.COLUMNS, "") | {"file": "covid-000.png", "label": "covid", "boxes": "0.1 0.2 0.3"}
    manifest.write(tmp_path / "data" / "covid", [row])
    done = inside("audit_covid19.py", "-d", "data", cwd=tmp_path)
    rejected(done, "data/covid/manifest.csv, column boxes: covid-000.png", "correct it, or clear the cell")
