"""make_phantom_dataset.py as a user runs it."""

from __future__ import annotations

import hashlib

import pytest
from builder_helpers import rows
from conftest import accepted, inside, rejected, script, tree

from make_phantom_dataset import draw


def test_the_same_seed_draws_the_same_phantoms(tmp_path):
    accepted(script("make_phantom_dataset.py", "-o", "a", "-n", "2", cwd=tmp_path))
    for seed in (42, 1):
        accepted(inside("make_phantom_dataset.py", "-o", f"{seed}", "-n", "2", "--seed", seed, cwd=tmp_path))
    assert tree(tmp_path / "a") == tree(tmp_path / "42")
    assert not set(tree(tmp_path / "a").values()) & set(tree(tmp_path / "1").values())
    sources = [row["source"] for label in ("covid", "normal") for row in rows(tmp_path / "a" / label).values()]
    assert sources == ["phantom"] * 4


def test_an_output_folder_that_links_to_itself_is_rejected(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    rejected(inside("make_phantom_dataset.py", "-o", "loop", cwd=tmp_path), "loop")


def test_several_images_of_a_patient(tmp_path):
    def drawn(*arguments: object) -> dict[str, str]:
        accepted(inside("make_phantom_dataset.py", "-o", "a", *arguments, "--quiet", cwd=tmp_path))
        return tree(tmp_path / "a" / "covid")

    one = drawn("-n", 1)
    several = drawn("-n", 5, "--images-per-patient", 3)
    for label, first in (("covid", 0), ("normal", 5)):
        patients = [row["patient"] for row in rows(tmp_path / "a" / label).values()]
        assert patients == [f"phantom-42-{first + number:05d}" for number in (0, 0, 0, 3, 3)]
    assert one["phantom-00000.png"] == several["phantom-00000.png"] and len(set(several.values())) == len(several)


@pytest.mark.parametrize(("label", "finding"), [("covid", "COVID-19"), ("normal", "No Finding")])
def test_the_positive_class_alone_has_shortcut_and_boxes(label, finding):
    (plain, row), (marked, _) = draw(label, 1, 0, 42), draw(label, 1, 0, 42, "mark", 3)
    assert (row["file"], row["patient"], row["finding"]) == ("phantom-00001.png", "phantom-42-00000", finding)
    assert (
        draw(label, 1, 0, 43)[1]["patient"] == "phantom-43-00000"
    )  # another person: as an external test set it counts
    assert row["sha256"] == hashlib.sha256(plain).hexdigest()
    assert (plain != marked) == bool(row["boxes"]) == (label == "covid")
