"""Files are written whole or not at all, whatever interrupts."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import ROOT, rejection, tree

from detector.files import atomic
from detector.files.atomic import write_together


def test_a_file_is_replaced_with_the_usual_permissions(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    atomic.write_together({path: b"new"})
    assert path.read_text() == "new"
    (tmp_path / "b.txt").touch()
    assert path.stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_files_that_belong_together_are_written_all_or_none(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with rejection(r"c\.txt cannot be written: no such file or directory; nothing was changed"):
        atomic.write_together({tmp_path / "a.txt": b"new", tmp_path / "nowhere" / "c.txt": b"new"})
    assert (tmp_path / "a.txt").read_text() == "old"
    assert tree(tmp_path).keys() == {"a.txt"}
    atomic.write_together({tmp_path / "a.txt": b"new", tmp_path / "c.txt": b"new"})
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "c.txt").read_text() == "new"


def test_a_rename_that_fails_names_the_files_that_are_new(tmp_path):
    paths = [tmp_path / f"{name}.txt" for name in "abcdef"]
    paths[4].mkdir()  # no file replaces a folder
    with rejection(
        r"e\.txt cannot be written: is a directory; new: .*c\.txt and 1 more; the other outputs are unchanged"
    ):
        atomic.write_together(dict.fromkeys(paths, b"new"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_nothing_is_renamed_before_everything_is_on_the_disk(tmp_path, monkeypatch):
    steps = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "replace", lambda *given: (steps.append("rename"), replace(*given)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("flush"), fsync(descriptor)))
    atomic.write_together({tmp_path / name: b"new" for name in "abc"})
    assert steps == ["flush"] * 3 + ["rename"] * 3


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("ü" * 120 + ".png")
    atomic.write_together({path: b"new"})
    assert path.read_bytes() == b"new"
    with rejection("file name too long"):
        atomic.require_outputs({"-o": tmp_path / ("x" * 300)})


def test_a_run_that_is_killed_leaves_the_target_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from detector.files import atomic\n"
        "os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        "atomic.write_together({Path(sys.argv[1]): b'new'})"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "a.txt"], cwd=ROOT, check=False).returncode == -9
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["a.txt"]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "a.png"):
        with rejection(str(path)):
            atomic.require_outputs({"-o": path})
    with rejection("is a file"):
        atomic.require_folder(tmp_path / "file")
    with rejection("--plot"):
        atomic.require_outputs({"--plot": tmp_path / "a", "--model": tmp_path / "a"})


def test_an_output_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "p.csv").symlink_to(tmp_path / "precious")
    (tmp_path / "manifest.csv").symlink_to(tmp_path / "nowhere")
    write_together({tmp_path / name: b"new" for name in ("p.csv", "manifest.csv")})
    assert (tmp_path / "precious").read_text() == "precious" and not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "p.csv").is_symlink()


def test_a_run_that_fails_removes_what_it_began(tmp_path):
    atomic.make_folder(tmp_path / "new" / "inner")
    atomic.make_folder(tmp_path / "used")
    (tmp_path / "used" / "a.txt").write_text("x")
    with atomic.temporary(tmp_path) as part:
        part.touch()
        atomic.remove_unfinished()
        assert not part.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"used"}
    assert not atomic._unfinished
