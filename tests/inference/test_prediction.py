"""Files to predict: given, below folders, or by pattern."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import picture, rejection

from detector.inference.predict import list_images


def test_a_bad_folder_does_not_hide_the_others(tmp_path, capsys):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        picture(tmp_path / name, 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("none")
    failures = []
    paths = list_images([tmp_path / "a", tmp_path / "empty", tmp_path / "b" / "1.png"], failures)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["a/1.png", "a/2.png", "b/1.png"]
    assert [str(one) for one in failures] == [f"{tmp_path / 'empty'} holds no images"]
    assert "1 file" in capsys.readouterr().out
    with rejection("empty holds no images"):
        list_images([tmp_path / "empty"], [])


@pytest.mark.parametrize("absolute", [True, False])
def test_a_pattern_is_expanded(tmp_path, monkeypatch, absolute):
    for name in ("b.png", "a.png", "c.jpg", "[1].png"):
        picture(tmp_path / name, 1)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path if absolute else Path()
    assert list_images([folder / "?.png"], []) == [folder / "a.png", folder / "b.png"]
    # A file of this very name is no pattern.
    assert list_images([folder / "[1].png"], []) == [folder / "[1].png"]
    assert list_images([folder / "*.gif"], []) == [folder / "*.gif"]
