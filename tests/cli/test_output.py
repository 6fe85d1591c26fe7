"""What scripts print, and their progress."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest
from conftest import ROOT

from detector.cli.output import WIDTH, Log, epoch_printer, named_notes, replaced_line, warn, wrapped


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_warnings_have_a_colour_in_a_terminal_only(environment, coloured):
    code = "from detector.cli.output import BAD, say; say('! warning', BAD); say('fine')"
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    leader, follower = os.openpty()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, stdout=follower, check=True)
    said = os.read(leader, 1000).decode()
    assert ("\x1b[" in said) == coloured
    assert "! warning" in said and said.rstrip().endswith("fine")
    piped = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=True
    )
    assert piped.stdout == "! warning\nfine\n"


LONG = (
    "12 images of 7 patients, whose files lie in /data/"
    + "x" * 90
    + "/covid, use --one-per-patient to keep one of each"
)


def test_a_long_note_goes_on_below_its_beginning_and_no_path_or_flag_is_broken(capsys):
    Log().info(LONG)
    warn(LONG)
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("WARNING: "))
    for part, indent in ((lines[:start], 7), (lines[start:], 9)):
        assert [line[:indent].strip() for line in part[1:]] == [""] * (len(part) - 1)
        assert " ".join(line[indent:] for line in part) == LONG
        assert all(len(line) <= WIDTH or "/data/" in line for line in part)
    assert wrapped("", "[INFO] ") == ["[INFO] "] and wrapped("a\nb") == [r"a\nb"]


def test_a_line_of_an_epoch_fits_80_columns(capsys):
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    epoch_printer(100, False)(100, dict.fromkeys(names, 0.123456))
    epoch_printer(100, True)(100, dict.fromkeys(names, 0.123456))
    line = capsys.readouterr().out
    assert line.startswith("Epoch 100/100  loss 0.123") and line.count("\n") == 1 and len(line.strip()) <= WIDTH


def test_a_note_is_printed_once_for_all_images_that_have_it():
    notes = [(f"{i}.dcm", "odd" if i % 2 else "") for i in range(10)] + [("x.dcm", "other")]
    assert named_notes(notes) == ["5 images: 1.dcm, 3.dcm, 5.dcm and 2 more: odd", "x.dcm: other"]


def test_what_a_run_replaces_is_named(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    assert replaced_line(paths) == replaced_line([]) == ""
    paths[1].write_text("earlier")
    assert replaced_line(paths) == f"replaced 1 file of an earlier run: {paths[1]}"


WHOLE = """
from detector.cli.output import Log, say
from detector.cli.output import one_bar, progress, step
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
from detector.cli.output import one_bar, step
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
