"""Files are written whole or not at all, whatever interrupts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT, rejection, script, tree

from detector.files import atomic
from detector.files.atomic import write_together


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic.whole(path) as part:
        part.write(b"half")
        assert len(tree(tmp_path)) == 2
        raise RuntimeError
    assert tree(tmp_path).keys() == {"a.txt"}
    assert path.read_text() == "old"
    with atomic.whole(path) as part:
        part.write(b"new")
    assert path.read_text() == "new"
    (tmp_path / "b.txt").write_text("")
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
    for path in paths:
        path.write_text("old")
    paths[2].unlink()
    paths[2].mkdir()  # no file replaces a folder
    with rejection(
        r"c\.txt cannot be written: is a directory; new: \S+a\.txt, \S+b\.txt; the other outputs are unchanged"
    ):
        atomic.write_together(dict.fromkeys(paths, b"new"))
    assert [path.read_text() for path in paths if path.is_file()] == ["new", "new", "old", "old", "old"]
    assert not list(tmp_path.glob(atomic.NAME.format("*")))
    paths[2].rmdir()
    paths[4].unlink()
    paths[4].mkdir()
    with rejection(r"e\.txt cannot be written: .*c\.txt and 1 more; the other outputs are unchanged"):
        atomic.write_together(dict.fromkeys(paths, b"newer"))
    assert paths[5].read_text() == "old"


def test_nothing_is_renamed_before_everything_is_on_the_disk(tmp_path, monkeypatch):
    steps = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "replace", lambda *given: (steps.append("rename"), replace(*given)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("flush"), fsync(descriptor)))
    atomic.write_together({tmp_path / name: b"new" for name in "abc"})
    assert steps == ["flush"] * 3 + ["rename"] * 3 + ["flush"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("ü" * 120 + ".png")
    atomic.write_together({path: b"new"})
    assert path.read_bytes() == b"new"
    with rejection("file name too long"):
        atomic.require_writable(tmp_path / ("x" * 300))


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "a.png"):
        with rejection(str(path)):
            atomic.require_writable(path)
    with rejection("is a file"):
        atomic.require_folder(tmp_path / "file")
    with rejection("--plot"):
        atomic.require_outputs({"--plot": tmp_path / "a", "--model": tmp_path / "a"})


def test_an_output_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out" / "covid").mkdir(parents=True)
    (tmp_path / "out" / "covid" / "manifest.csv").symlink_to(tmp_path / "nowhere")
    for name in ("plot.png", "p.csv"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    assert script("make_phantom_dataset.py", "-o", "out", "-n", 1, "--quiet", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "nowhere").exists()
    write_together({tmp_path / "plot.png": b"new", tmp_path / "p.csv": b"new"})
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "plot.png").is_symlink()


WRITER = """
import sys
from pathlib import Path
from detector.files import atomic
with atomic.whole(Path(sys.argv[1])) as part, atomic.temporary_folder(Path(sys.argv[1]).parent) as folder:
    (folder / "a.whl").write_text("half")
    part.write(b"half")
    part.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(path):
    """Start another run that has begun to write `path`, and a temporary folder beside it."""
    running = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "writing\n"
    return running


def test_what_a_killed_run_left_is_removed_but_not_what_a_running_one_writes(tmp_path):
    killed = writer(tmp_path / "a.txt")
    killed.kill()
    killed.communicate()
    left = set(tmp_path.iterdir())
    assert len(left) == 2
    running = writer(tmp_path / "a.txt")
    used = set(tmp_path.iterdir()) - left
    assert len(used) == 2
    atomic.require_writable(tmp_path / "b.txt")
    assert set(tmp_path.iterdir()) == used
    running.communicate("")
    assert running.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt"}
    assert (tmp_path / "a.txt").read_bytes() == b"half"


def test_a_temporary_file_that_is_taken_for_a_leftover_is_made_anew(tmp_path, monkeypatch):
    taken = []
    lock = atomic.lock

    def late(descriptor, **how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        return lock(descriptor, **how)

    monkeypatch.setattr(atomic, "lock", late)
    atomic.write_together({tmp_path / "a.txt": b"new"})
    assert len(taken) == 1
    assert tree(tmp_path).keys() == {"a.txt"}


def test_a_run_that_fails_removes_what_it_began(tmp_path):
    atomic.make_folder(tmp_path / "new" / "inner")
    atomic.make_folder(tmp_path / "used")
    (tmp_path / "used" / "a.txt").write_text("x")
    with atomic.temporary_file(tmp_path) as (part, _), atomic.temporary_folder(tmp_path) as folder:
        atomic.remove_unfinished()
        assert not part.exists()
        assert not folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"used"}
    assert not atomic._unfinished


pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")


def test_a_run_never_waits_for_itself(tmp_path):
    with atomic.locked_folders([tmp_path]), atomic.locked_folders([tmp_path, tmp_path]):
        atomic.write_together({tmp_path / "a.txt": b"a"})
    assert not atomic._held


def test_another_run_waits(tmp_path):
    code = (
        "import sys; from pathlib import Path; from detector.files import atomic; "
        "print('begun', flush=True); atomic.write_together({Path(sys.argv[1]): b'another'})"
    )
    path = tmp_path / "a.txt"
    with atomic.locked_folders([tmp_path]):
        other = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        assert not path.exists()
    assert other.wait(30) == 0
    assert path.read_bytes() == b"another"
    other.stdout.close()


def test_a_lock_that_another_holds_is_not_waited_for(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("")
    with open(path) as one, open(path) as other:
        assert atomic.lock(one.fileno())
        assert not atomic.lock(other.fileno(), wait=False)
