"""The lesson and the demo: their commands are accepted, and the committed outputs are clean."""

from __future__ import annotations

import importlib
import json
import re
import shlex

import pytest
from conftest import ROOT

from detector.cli.arguments import parse
from tools import demo

CELLS = json.loads((ROOT / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
LESSON = re.findall(r"^!python (.+)$", "\n".join(CODE), re.MULTILINE)
DEMO = [command for commands in demo.STEPS.values() for command in commands]


class AcceptedError(Exception):
    """The flags of a command were accepted; the script goes no further."""


@pytest.mark.parametrize("command", LESSON + DEMO)
def test_every_command_is_accepted_by_its_script(command, monkeypatch):
    name, *arguments = shlex.split(command)
    module = importlib.import_module(name.removesuffix(".py"))

    def parsed(*given):
        parse(*given)
        raise AcceptedError

    monkeypatch.setattr(module, "parse", parsed)
    with pytest.raises(AcceptedError):
        module.main(arguments)


def test_committed_outputs_hold_no_error_and_no_path_of_a_machine():
    outputs = json.dumps([cell["outputs"] for cell in CELLS if cell["cell_type"] == "code"])
    assert '"output_type": "error"' not in outputs and "Traceback" not in outputs
    # Of base64 no path begins after white space, a quote or a bracket.
    assert re.findall(r"""[\s"'(>](?:/(?:home|root|tmp|work|Users|usr)/|[A-Z]:\\\\\\\\)[\w./-]*""", outputs) == []


def test_a_result_of_the_demo_is_counted(tmp_path):
    images = [
        {"label": label, "probabilities": {"covid": score, "normal": 1 - score}}
        for label, score in (("covid", 0.9), ("covid", 0.2), ("normal", 0.1), ("normal", 0.3))
    ]
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"held_out": images}))
    assert demo.counts(path) == (0.75, 1, 2)
