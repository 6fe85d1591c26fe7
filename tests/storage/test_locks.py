"""Runs wait for each other, and never for themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from detector.storage import files, locks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")


def test_a_run_never_waits_for_itself(tmp_path):
    with locks.locked_folders([tmp_path]), locks.locked_folders([tmp_path, tmp_path]):
        files.write_together({tmp_path / "a.txt": b"a"})
    assert not locks._held


def test_another_run_waits(tmp_path):
    code = (
        "import sys; from pathlib import Path; from detector.storage import files; "
        "print('begun', flush=True); files.write_together({Path(sys.argv[1]): b'another'})"
    )
    path = tmp_path / "a.txt"
    with locks.locked_folders([tmp_path]):
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
        assert locks.lock(one.fileno())
        assert not locks.lock(other.fileno(), wait=False)
