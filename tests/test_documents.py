"""What documents cite is there: files, headings, flags, commands."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import pytest
from conftest import ROOT, script

NOTEBOOK = ROOT / "tutorial.ipynb"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "dataset/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "detector" / "network" / "lung_decoder.md",
    NOTEBOOK,
]
SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
FILES = {*SCRIPTS, *(path.name for name in ("detector", "tests", "tools") for path in (ROOT / name).rglob("*.py"))}
FLAG = r"(?<![\w-])--[a-z][a-z-]+"
OF_OTHERS = re.compile(r"\b(git|pip|make|npm|ray|jupyter|sbatch|python -m) ")


def source(path: Path) -> str:
    """Return a document as it is written; of the notebook, its text."""
    if path != NOTEBOOK:
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@functools.cache
def flags() -> frozenset[str]:
    """Return the flags of all scripts."""
    shown = [script(name, "--help", cwd=ROOT, COLUMNS="400").stdout for name in SCRIPTS]
    return frozenset(re.findall(FLAG, "\n".join(shown)))


def headings(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", source(path), flags=re.DOTALL | re.MULTILINE)
    titles = [re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.+)$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", source(path)):
        there = path.parent / target if target else path
        assert there.exists(), target
        assert not anchor or anchor in headings(there), (target, anchor)


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=lambda path: path.name
)
def test_scripts_files_flags_and_targets_that_a_document_names_exist(path):
    text = source(path)
    for folder in ("detector", "docs", "tests", "tools", "requirements"):
        named = re.findall(rf"(?<![\w./-])`?({folder}/[\w./-]+)(?=[`\s),;:])", text)
        assert [name for name in named if "SCRIPT" not in name and not (ROOT / name).exists()] == []
    named = re.findall(r"(?<![\w./-])(\w+_\w+\.py)\b", text)
    assert [name for name in named if name not in FILES] == []
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)
    lines = [line for line in text.splitlines() if not OF_OTHERS.search(line)]
    assert set(re.findall(FLAG, "\n".join(lines))) <= flags()
