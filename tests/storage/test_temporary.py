"""What a killed run leaves is removed by the next one; what a running one writes is not."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT, tree

from detector.storage import files, temporary

WRITER = """
import sys
from pathlib import Path
from detector.storage import files, temporary
with files.whole(Path(sys.argv[1])) as part, temporary.temporary_folder(Path(sys.argv[1]).parent) as folder:
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
    files.require_writable(tmp_path / "b.txt")
    assert set(tmp_path.iterdir()) == used
    running.communicate("")
    assert running.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt"}
    assert (tmp_path / "a.txt").read_bytes() == b"half"


def test_a_temporary_file_that_is_taken_for_a_leftover_is_made_anew(tmp_path, monkeypatch):
    taken = []
    lock = temporary.lock

    def late(descriptor, **how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        return lock(descriptor, **how)

    monkeypatch.setattr(temporary, "lock", late)
    files.write_together({tmp_path / "a.txt": b"new"})
    assert len(taken) == 1
    assert tree(tmp_path).keys() == {"a.txt"}


def test_a_run_that_fails_removes_what_it_began(tmp_path):
    temporary.make_folder(tmp_path / "new" / "inner")
    temporary.make_folder(tmp_path / "used")
    (tmp_path / "used" / "a.txt").write_text("x")
    with temporary.temporary_file(tmp_path) as (part, _), temporary.temporary_folder(tmp_path) as folder:
        temporary.remove_unfinished()
        assert not part.exists()
        assert not folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"used"}
    assert not temporary._unfinished
