"""What all scripts share: help, colours, and errors of the program."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT, script


@pytest.mark.parametrize(
    "name", ["build_covid_dataset", "sample_kaggle_dataset", "make_phantom_dataset", "train_covid19"]
)
def test_help_has_an_example_and_states_that_nothing_is_a_diagnosis(tmp_path, name):
    (tmp_path / "tensorflow.py").write_text("raise SystemError('imported')\n")
    done = script(f"{name}.py", "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert f"example: python {name}.py" in done.stdout
    assert "never a diagnosis" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_warnings_have_a_colour_in_a_terminal_only(environment, coloured):
    code = "from detector.command_line import BAD, say; say('! doubt', BAD); say('fine')"
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
