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


def prediction(name, note="", pixels=None, aspect=1.0, label="covid"):
    pixels = np.zeros((224, 224, 3), np.uint8) if pixels is None else pixels
    return Prediction(Path(name), label, [0.75, 0.25], note, pixels, np.eye(14, dtype=np.float32), aspect=aspect)


def page_of(*predictions, classes=("covid", "normal"), summary=None, failures=()):
    description = Description([*classes], classes[0], "tutorial", "tutorial", summary=summary)
    return prediction_report.prediction_report(PredictionRun([*predictions], [*failures], description, "m.h5")).decode()


def hostile_page(name):
    failure = InputError(f"{name}: {name}")
    return page_of(prediction(name, name, label=name), classes=(name, "other"), failures=[failure])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name):
    text = hostile_page(name)
    harmless(text)
    # Without a mark of HTML's or of direction it is harmless as it stands.
    assert name.startswith("javascript:") or name not in text


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(blacklist_characters="\0/"), min_size=1, max_size=60).filter(lambda name: name != "other"))
def test_any_name_is_text(name):
    harmless(hostile_page(name))


def test_a_report_of_many_images_is_small():
    drawn = [phantom.draw(seed % 2 == 0, seed) for seed in range(8)]
    images = [np.repeat(cv2.resize(one, (224, 224))[..., None], 3, axis=2) for one in drawn]
    data = page_of(*(prediction(f"{number}.png", "", images[number % 8]) for number in range(html.MOST)))
    assert data.count("<details>") == html.MOST
    assert len(data) < 2**20


@pytest.mark.parametrize(("aspect", "height"), [(1.0, 160), (1.25, 200), (0.1, 80), (9.0, 320)])
def test_an_image_has_its_own_shape_but_is_no_line(aspect, height):
    assert page_of(prediction("a.png", aspect=aspect)).count(f'viewBox="0 0 160 {height}"') == 3


def test_what_the_model_is_worth_stands_on_the_first_screen():
    warning = "Do not use these probabilities: site & view."
    summary = TrainingSummary("d", "2026", (), "Test set", "0.99", ("views",), True, warning)
    page = page_of(summary=summary)
    assert "<strong>Do not use these probabilities: site &amp; view.</strong>" in page
    assert "where each class is equally frequent" in page
    assert "does not say how it was evaluated" in page_of()


def test_a_note_that_all_images_share_stands_once_above_them():
    notes = ("<lateral>; known", "known", "known")
    page = page_of(*(prediction(f"{number}.png", note) for number, note in enumerate(notes)))
    assert "<li>3 of 3 images: known</li>" in page and page.count("known") == 1
    assert page.count("<dd>&lt;lateral&gt;</dd>") == 1 and page.count("<dt>note</dt>") == 1
    assert prediction_report.common_notes(["a; b", "b; a", "b", "", "c"]) == [("b", 3), ("a", 2)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["x", "../x", "x-y", "x/y", "y", "..", "/", "~\n-"]), min_size=1, unique=True), st.data()
)
def test_no_overlay_is_written_over_another_or_leaves_its_folder(folders, data):
    names = [f"{data.draw(st.sampled_from(['', 'y-', 'x-y-']))}a.png" for _ in folders]
    paths = [Path(folder, name) for folder, name in zip(folders, names, strict=True)]
    found = overlay_names(list(dict.fromkeys([*paths, Path("x-a.png"), Path("a.png")])))
    assert len(set(found)) == len({*paths, Path("x-a.png"), Path("a.png")})
    assert all(PurePosixPath(name).name == name for name in found)
