"""What scripts print: colours in a terminal only, and a note once for all images that have it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from detector.command_line.printing import named_notes, replaced_line


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_warnings_have_a_colour_in_a_terminal_only(environment, coloured):
    code = "from detector.command_line.printing import BAD, say; say('! doubt', BAD); say('fine')"
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    leader, follower = os.openpty()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, stdout=follower, check=True)
    said = os.read(leader, 1000).decode()
    assert ("\x1b[" in said) == coloured
    assert "! doubt" in said and said.rstrip().endswith("fine")
    piped = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=True
    )
    assert piped.stdout == "! doubt\nfine\n"


def test_a_note_is_printed_once_for_all_images_that_have_it():
    notes = [(f"{i}.dcm", "odd" if i % 2 else "") for i in range(10)] + [("x.dcm", "other")]
    assert named_notes(notes) == ["1.dcm, 3.dcm, 5.dcm and 2 more: odd", "x.dcm: other"]


def test_what_a_run_replaces_is_named(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    assert replaced_line(paths) == replaced_line([]) == ""
    paths[1].write_text("earlier")
    assert replaced_line(paths) == f"replaced 1 file of an earlier run: {paths[1]}"
