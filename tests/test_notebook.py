"""The lesson and the demo: their commands are accepted, and the committed outputs are clean."""

from __future__ import annotations

import importlib
import json
import re
import runpy
import shlex

import pytest
from conftest import ROOT

from detector.cli.arguments import parse

CELLS = json.loads((ROOT / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
LESSON = re.findall(r"^!python (.+)$", "\n".join(CODE), re.MULTILINE)
DEMO = [
    command for commands in runpy.run_path(str(ROOT / "tools" / "demo.py"))["STEPS"].values() for command in commands
]


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


def test_committed_outputs_show_the_point_no_error_and_no_path_of_a_machine():
    outputs = json.dumps([cell["outputs"] for cell in CELLS if cell["cell_type"] == "code"])
    assert "**0 of 60**" in outputs
    assert not any(wrong in outputs for wrong in ('"output_type": "error"', "Traceback", '"name": "stderr"', "AUC nan"))
    # Of base64 no path begins after white space, a quote or a bracket.
    assert re.findall(r"""[\s"'(>](?:/(?:home|root|tmp|work|Users|usr)/|[A-Z]:\\\\\\\\)[\w./-]*""", outputs) == []
