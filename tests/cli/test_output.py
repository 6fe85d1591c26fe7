"""What scripts print, and their progress."""

from __future__ import annotations

import sys

import pytest

from detector.cli.output import (
    BAD,
    PLAIN,
    WIDTH,
    Log,
    named_notes,
    progress,
    say,
    warn,
    wrapped,
)


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_warnings_have_a_colour_in_a_terminal_only(terminal, no_color, coloured, monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    say("! warning", BAD)
    say("fine")
    warning = f"{BAD}! warning{PLAIN}" if terminal and not no_color else "! warning"
    assert capsys.readouterr().out == f"{warning}\nfine\n"


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (True, True), (False, False)])
def test_a_bar_is_shown_on_a_terminal_alone(terminal, quiet, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert list(progress(range(50), 50, "reading images", quiet)) == list(range(50))
    said = capsys.readouterr().err
    assert "[INFO] reading images: 100%|" in said if terminal and not quiet else said == ""


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


def test_a_note_is_printed_once_for_all_images_that_have_it():
    notes = [(f"{i}.dcm", "odd" if i % 2 else "") for i in range(10)] + [("x.dcm", "other")]
    assert named_notes(notes) == ["5 images: 1.dcm, 3.dcm, 5.dcm and 2 more: odd", "x.dcm: other"]
