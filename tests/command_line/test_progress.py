"""Progress in a terminal: a bar for each loop, or one for a whole run, and none anywhere else."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest
from conftest import ROOT

WHOLE = """
from detector.command_line.printing import Log, say
from detector.command_line.progress import one_bar, progress, step
with one_bar(13, "auditing", False):
    with step("reading images"):
        list(progress(range(50), 50, "images", quiet=True))
        Log().info("a note")
    for name in ("first", "second", "third"):
        with step(name, 1):
            for what in ("folds", "passes", "passes"):
                for _ in progress(range(7), 7, what):
                    list(progress(range(3), 3, "within"))
say("results")
"""


def seen(code: str, columns: int = 60) -> list[str]:
    """Return what a terminal gets from a program, split where a line is written over or ends."""
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=follower, stderr=follower, check=True, timeout=60)
    os.close(follower)
    found = b""
    try:
        while part := os.read(leader, 4096):
            found += part
    except OSError:  # Linux says so where the other end is closed
        pass
    return found.decode().replace("\n", "\r").split("\r")


def test_a_whole_run_has_one_bar_that_only_moves_on_and_ends_full():
    lines = seen(WHOLE)
    bars = [line for line in lines if "%|" in line]
    assert len(bars) >= 5
    shares = [int(line.partition("%|")[0].split()[-1]) for line in bars]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 100
    assert all(len(line) <= 60 for line in lines)
    for name in ("auditing", "reading images", "first", "second", "third"):
        assert any(line.startswith(f"[INFO] {name}: ") for line in bars)
    assert not any("folds" in line or "passes" in line for line in bars)
    assert "[INFO] a note" in lines and "results" in lines  # on lines of their own, the bar taken away


def test_an_error_leaves_no_bar_behind():
    code = """
from detector.command_line.progress import one_bar, step
try:
    with one_bar(2, "auditing", False), step("reading images"):
        raise ValueError
except ValueError:
    print("one line", flush=True)
"""
    *_, before, last, _, end = seen(code)
    assert (before.strip(), last, end) == ("", "one line", "")


@pytest.mark.parametrize("quiet", [True, False])
def test_without_a_terminal_or_when_quiet_there_is_no_bar(quiet):
    code = WHOLE.replace("False", str(quiet))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[INFO] a note\nresults\n", "")
