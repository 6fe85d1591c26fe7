"""What is printed and written of lungs: masks, overlays, table, summary and record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from image_helpers import ellipses
from PIL import Image

from detector import InputError
from detector.images.lungs import describe
from detector.inference.lung_masks import FoundLungs
from detector.reports import lung_mask_report
from detector.reports.text import BLUE, ORANGE, rgb


def test_masks_are_written_as_they_come_and_not_kept(tmp_path):
    mask = ellipses(0.3, 0.7)
    picture = np.full((1024, 512, 3), 100, np.uint8)
    found = [
        FoundLungs(Path("x/a.png"), describe(mask), "a note", mask, (300, 200), picture),
        InputError("c.png: empty"),
        FoundLungs(Path("x/b.png"), describe(np.zeros((224, 224), bool)), picture=picture),
    ]
    results = lung_mask_report.with_masks(iter(found), tmp_path)
    first = next(results)
    assert {path.name for path in tmp_path.iterdir()} == {"a_mask.png", "a_overlay.png"}
    assert (first.mask, first.picture, first.note) == (None, None, "a note")
    with Image.open(tmp_path / "a_mask.png") as written:
        assert written.size == (200, 300) and set(np.unique(np.asarray(written))) == {0, 255}
    second, third = results
    assert second is found[1] and third.picture is None
    assert len(list(tmp_path.iterdir())) == 2
    with Image.open(tmp_path / "a_overlay.png") as written:
        drawn = np.asarray(written)
    assert {rgb(BLUE), rgb(ORANGE), (100, 100, 100)} <= {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    # Lungs are tinted; what lies outside is as it was.
    assert drawn[512, 154].tolist() == [int(0.85 * 100 + 0.15 * value) for value in rgb(ORANGE)]
    assert drawn[10, 10].tolist() == [100, 100, 100]


def test_what_was_found_is_one_row_and_one_entry():
    found = FoundLungs(Path("a.png"), describe(ellipses(0.3, 0.7)))
    none = FoundLungs(Path("b.png"), describe(np.zeros((224, 224), bool)))
    heading, first, second, warning = lung_mask_report.lines([found, none])
    assert heading == "right lung  left lung  file"
    right, left, name = first.split()
    assert right.startswith("12.") and left.startswith("12.") and name == "a.png"
    assert second.split() == ["no", "mask", "no", "mask", "b.png"] and warning.strip() == none.lungs.warning
    assert all(len(line) <= 80 for line in (heading, first, second, warning))
    assert lung_mask_report.lines([]) == []
    failures = [InputError("c.png: empty")]
    assert lung_mask_report.summary([found, none], failures, Path("masks")) == (
        "1 mask in masks; 1 image without plausible lungs; 1 file skipped"
    )
    assert lung_mask_report.summary([found], [], Path("masks")) == "1 mask in masks"
    record = json.loads(lung_mask_report.as_json([found, none], failures))
    assert [one["mask"] for one in record["images"]] == ["a_mask.png", None]
    assert record["failures"] == ["c.png: empty"] and "never a diagnosis" in record["notice"]
