"""What scripts print, and their progress."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest
from conftest import ROOT

from detector.cli.output import BAD, PLAIN, WIDTH, Log, epoch_printer, named_notes, replaced_line, warn, wrapped


def seen(code: str, **environment: str) -> list[str]:
    """Return what a terminal gets from a program, split where a line is written over or ends."""
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, stdout=follower, stderr=follower, check=True)
    os.close(follower)
    found = b""
    with suppress(OSError):  # Linux says so where the other end is closed
        while part := os.read(leader, 4096):
            found += part
    return found.decode().replace("\n", "\r").split("\r")


def piped(code: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_warnings_have_a_colour_in_a_terminal_only(environment, coloured):
    code = "from detector.cli.output import BAD, say; say('! warning', BAD); say('fine')"
    said = seen(code, **environment)
    assert said[0] == (f"{BAD}! warning{PLAIN}" if coloured else "! warning") and "fine" in said
    assert piped(code) == ("! warning\nfine\n", "")


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


BAR = """
from detector.cli.output import progress, say
list(progress(range(50), 50, "reading images", quiet=False))
say("results")
"""


def test_a_bar_is_shown_on_a_terminal_alone():
    lines = seen(BAR)
    assert any(line.startswith("[INFO] reading images: 100%|") for line in lines) and "results" in lines
    assert piped(BAR) == piped(BAR.replace("False", "True")) == ("results\n", "")
