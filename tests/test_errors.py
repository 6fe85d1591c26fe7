"""docs/errors.md has every sentence with which the scripts refuse something."""

from __future__ import annotations

import ast
import re

import pytest
from conftest import ROOT

TABLE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def sentences() -> dict[str, str]:
    """Return where an `InputError` is made → a pattern that every sentence of it matches."""
    found = {}
    for path in [*ROOT.glob("*.py"), *ROOT.glob("detector/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError":
                found[f"{path.name}:{node.lineno}"] = pattern(node.args[0])
    return found


def pattern(message: ast.expr) -> str:
    if isinstance(message, ast.Constant):
        return re.escape(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(pattern(part) for part in message.values)
    return ".*"


@pytest.mark.parametrize(("place", "sentence"), sentences().items(), ids=lambda value: str(value)[:40])
def test_every_sentence_stands_in_the_table(place, sentence):
    # As in the table: no bars, no backquotes.
    assert re.search(sentence.replace("\\|", "¦").replace("`", "'"), TABLE), f"{place}: no test hears {sentence!r}"
