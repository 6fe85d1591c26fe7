"""COVIDx: lists as published, and old ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder_helpers import build, rows
from conftest import inside, picture, rejected, rejection

from detector.collections import covidx

TRAIN = """1 a.png positive cohen
2 b.png negative rsna
3 c.png positive cohen
SITE2-000265 MIDRC-RICORD-1C-SITE2-000265-99793-1.png positive ricord
"""
TEST = "3 d.png positive cohen\n5 e.png negative rsna\n3 f.png negative rsna\n"


@pytest.fixture
def published(tmp_path) -> Path:
    folder = tmp_path / "covidx"
    for number, name in enumerate(("a", "b", "c", "MIDRC-RICORD-1C-SITE2-000265-99793-1")):
        picture(folder / f"train/{name}.png", number)
    for number, name in enumerate("def"):
        picture(folder / f"test/{name}.png", 10 + number)
    (folder / "train.txt").write_text(TRAIN)
    (folder / "test.txt").write_text(TEST)
    return folder


def test_the_published_split(published):
    home = published.parent
    said, _, _ = (
        build(home, "-c", published, "-o", f"{part}/covid", "--controls-output", f"{part}/normal", *split)
        for part, *split in (("train", "--split", "train"), ("test", "--split", "test"), ("all",))
    )
    assert {name: row["site"] for name, row in rows(home / "train/covid").items()} == {
        "a.png": "cohen",
        "c.png": "cohen",
        "MIDRC-RICORD-1C-SITE2-000265-99793-1.png": "ricord",
    }
    assert set(rows(home / "train/normal")) == {"b.png"}
    assert set(rows(home / "test/covid")) == {"d.png"}
    assert set(rows(home / "test/normal")) == {"e.png", "f.png"}
    assert "No site and view contains both classes" in said

    assert len(rows(home / "all/covid")) == 4
    done = inside("build_covid_dataset.py", "-c", published, "-o", "x", "--split", "val", cwd=home)
    rejected(done, "--split val", "has no list of this split; it has train.txt, test.txt")


def test_several_versions_of_a_list(tmp_path):
    for name in ("train_COVIDx8B.txt", "train_COVIDx9A.txt"):
        (tmp_path / name).write_text(TRAIN)
    with rejection("several lists of train: train_COVIDx8B.txt, train_COVIDx9A.txt; keep one version"):
        list(covidx.Covidx().read(tmp_path))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "419639-003251 MIDRC-RICORD-1C-0.png positive ricord",
            ("419639-003251", "MIDRC-RICORD-1C-0.png", "positive", "ricord"),
        ),
        ("3 SARS-10.1148rg.jpeg pneumonia cohen", ("3", "SARS-10.1148rg.jpeg", "pneumonia", "cohen")),
        ("3 SARS-10.1148rg.jpeg pneumonia", ("3", "SARS-10.1148rg.jpeg", "pneumonia", "")),
        ("COVID-19(69) COVID-19(69).png COVID-19 sirm", ("COVID-19(69)", "COVID-19(69).png", "COVID-19", "sirm")),
        ("COVID-19 (69) COVID-19 (69).png COVID-19 sirm", ("COVID-19 (69)", "COVID-19 (69).png", "COVID-19", "sirm")),
        ("7 a b.png normal rsna extra fields", ("7", "a b.png", "normal", "rsna")),
        ("7 a.png", None),
        ("a.png normal", None),
        ("7 a.png severe ricord", None),
    ],
)
def test_lines(line, expected):
    match = covidx.matched(line)
    assert (match and (match["patient"], match["file"], match["label"], match["source"] or "")) == expected


def test_bad_lists(tmp_path):
    for data, said in (
        (b"1 a.png positive cohen\n2 b.png\n", "line 2: expected PATIENT FILE CLASS SOURCE"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\n\n", "lists no images"),
    ):
        with rejection(said):
            covidx.Covidx().parse(data, Path("train.txt"), {}, "train")
    assert not covidx.Covidx().is_here(tmp_path)
