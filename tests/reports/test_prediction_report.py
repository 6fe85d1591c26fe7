"""The report of predictions: any name is text, and many images stay small."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_helpers import HOSTILE, harmless

from detector import InputError
from detector.images import phantom
from detector.inference.predict import Prediction
from detector.network.model_file import Description, TrainingSummary
from detector.reports import html, prediction_report
from detector.reports.prediction_report import PredictionRun, overlay_names


def predictions_page(names, note=""):
    pixels, grad_cam = np.zeros((224, 224, 3), np.uint8), np.zeros((14, 14), np.float32)
    done = [Prediction(Path(name), name, [0.75, 0.25], note, pixels, grad_cam) for name in names]
    classes = [*names[:1], "other"] if len(names) < 2 else list(names)
    description = Description(classes, names[0], "tutorial", "tutorial")
    skipped = [InputError(f"{name}: {note}") for name in names]
    return prediction_report.prediction_report(PredictionRun(done, skipped, description, "m.h5")).decode()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name):
    text = predictions_page([name], note=name)
    harmless(text)
    # Without a mark of HTML's or of direction it is harmless as it stands.
    assert name.startswith("javascript:") or name not in text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_characters="\0/"), min_size=1, max_size=60).filter(lambda name: name != "other"))
def test_any_name_is_text(name):
    harmless(predictions_page([name], note=name))


def test_a_report_of_many_images_is_small():
    drawn = [phantom.draw(seed % 2 == 0, seed) for seed in range(8)]
    images = [np.repeat(cv2.resize(one, (224, 224))[..., None], 3, axis=2) for one in drawn]
    grad_cam = np.random.default_rng(0).random((14, 14))
    done = [
        Prediction(Path(f"{number}.png"), "covid", [0.75, 0.25], "", images[number % 8], grad_cam)
        for number in range(html.MOST)
    ]
    description = Description(["covid", "normal"], "covid", "tutorial", "tutorial")
    data = prediction_report.prediction_report(PredictionRun(done, [], description, "m.h5"))
    assert data.count(b"<details>") == html.MOST
    assert len(data) < 2**20


def test_an_image_has_its_own_shape():
    image, description = np.zeros((224, 224, 3), np.uint8), Description(["covid", "normal"], "covid", "probe", "global")
    done = [Prediction(Path("a.png"), "covid", [0.75, 0.25], "", image, np.zeros((14, 14)), aspect=1.25)]
    page = prediction_report.prediction_report(PredictionRun(done, [], description, "m.h5")).decode()
    assert page.count('viewBox="0 0 160 200"') == 3


def test_what_the_model_is_worth_stands_on_the_first_screen():
    warning = "Do not use these probabilities: site & view."
    summary = TrainingSummary("d", "2026", (), "Test set", "0.99", ("views",), True, warning)
    description = Description(["covid", "normal"], "covid", "tutorial", "tutorial", summary=summary)
    page = prediction_report.prediction_report(PredictionRun([], [], description, "m.h5")).decode()
    assert "<strong>Do not use these probabilities: site &amp; view.</strong>" in page
    assert "where each class is equally frequent" in page
    assert "does not say how it was evaluated" in prediction_report.conclusion(None)


def test_a_note_that_all_images_share_stands_once_above_them():
    image, description = np.zeros((224, 224, 3), np.uint8), Description(["covid", "normal"], "covid", "probe", "global")
    notes = ("<lateral>; known", "known", "known")
    done = [
        Prediction(Path(f"{number}.png"), "covid", [0.75, 0.25], note, image, np.zeros((14, 14)))
        for number, note in enumerate(notes)
    ]
    page = prediction_report.prediction_report(PredictionRun(done, [], description, "m.h5")).decode()
    assert "<li>3 of 3 images: known</li>" in page and page.count("known") == 1
    assert page.count("<dd>&lt;lateral&gt;</dd>") == 1 and page.count("<dt>note</dt>") == 1


def test_a_note_that_some_images_share_is_counted_and_stays_on_their_cards():
    assert prediction_report.common_notes(["a; b", "b; a", "b", "", "c"]) == [("b", 3), ("a", 2)]
    assert prediction_report.common_notes([""]) == []


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("2026-11-29T03:08:41+00:00", "2026-11-29 03:08 UTC"),
        ("2026-11-29T03:08:41+02:00", "2026-11-29 01:08 UTC"),
        ("2026-11-29T03:08:41", "2026-11-29 03:08 UTC"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("<b>", "<b>"),
    ],
)
def test_the_time_of_training_is_shown_to_the_minute(created, shown):
    assert prediction_report.minute(created) == shown


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["..", "/", "a", "b.png", "-", "\n", "~"]), min_size=1, max_size=5))
def test_an_overlay_never_leaves_its_folder(parts):
    path = Path(*parts) / "x.png"
    for paths in ([path], [path, Path("x.png")]):
        assert all(PurePosixPath(name).name == name for name in overlay_names(paths))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["x", "../x", "x-y", "x/y", "y"]), min_size=1, unique=True), st.data())
def test_no_overlay_is_written_over_another(folders, data):
    names = [f"{data.draw(st.sampled_from(['', 'y-', 'x-y-']))}a.png" for _ in folders]
    paths = [Path(folder, name) for folder, name in zip(folders, names, strict=True)]
    paths = list(dict.fromkeys([*paths, Path("x-a.png"), Path("a.png")]))
    assert len(set(overlay_names(paths))) == len(paths)
