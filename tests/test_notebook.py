"""The lesson: its commands are accepted, and its rendered copy is of this notebook."""

from __future__ import annotations

import importlib
import json
import re
import shlex

from conftest import ROOT

NOTEBOOK = ROOT / "tutorial.ipynb"
RENDERED = ROOT / "docs" / "tutorial.html"


def cells(kind):
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in found if cell["cell_type"] == kind)


def commands():
    text = cells("code").replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^!python (.+)$", text, re.MULTILINE)]


def test_every_command_of_the_notebook_is_accepted_by_its_script():
    assert len(commands()) >= 12
    for name, *arguments in commands():
        importlib.import_module(name.removesuffix(".py")).parse_arguments(arguments)


def test_the_rendered_copy_is_of_this_notebook_and_fetches_nothing():
    text = RENDERED.read_text(encoding="utf-8")
    assert RENDERED.stat().st_size < 3e6
    shown = re.sub(r"<[^>]*>", "", text).replace("&#39;", "'")
    assert [
        heading for heading in re.findall(r"^#+ (.+)$", cells("markdown"), re.MULTILINE) if heading not in shown
    ] == []
    assert all(name in shown for name, *_ in commands())
    assert "Traceback" not in shown and "FailedCommandError" not in shown
    unstyled = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!data:|#|[\w-]+\.md)[^"]*"', unstyled) == []
