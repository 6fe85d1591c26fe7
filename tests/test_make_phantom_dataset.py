"""make_phantom_dataset.py as a user runs it."""

from __future__ import annotations

from builder_helpers import rows
from conftest import accepted, inside, rejected, script, tree


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
        assert patients == [f"phantom-{first + number:05d}" for number in (0, 0, 0, 3, 3)]
    assert one["phantom-00000.png"] == several["phantom-00000.png"] and len(set(several.values())) == len(several)
