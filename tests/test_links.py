"""Documents cite files, headings and names that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT
from document_helpers import DOCUMENTS, MODULES, TEMPLATES, TOOLS, source


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    text = re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def headings(path: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", source(path), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", source(path)):
        there = path.parent / target if target else path
        assert there.exists(), (path.name, target)
        if anchor:
            assert anchor in map(slug, headings(there)), (path.name, target, anchor)


def test_links_of_the_rendered_lesson_lead_to_files():
    rendered = ROOT / "docs" / "tutorial.html"
    targets = re.findall(r'href="(?!https?:|data:|#)([^"#]+)', rendered.read_text(encoding="utf-8"))
    assert len(targets) >= 2
    assert [target for target in targets if not (rendered.parent / target).exists()] == []


FOLDERS = "detector|docs|tests|tools|requirements|dataset/README"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_exist(path):
    named = re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]+|\w+\.(?:py|md|ipynb))(?=[`\s),;:]|\.\s)", source(path))
    # SCRIPT stands for the name of any script.
    assert [name for name in named if "SCRIPT" not in name and not exists(name, path)] == []


def test_files_that_code_names_exist():
    paths = [*MODULES, *TOOLS, *TEMPLATES, ROOT / ".ci" / "run"]
    named = [
        (path.name, name)
        for path in paths
        for name in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*\w\.\w+)", path.read_text(encoding="utf-8"))
    ]
    assert len(named) >= 5
    assert [(where, name) for where, name in named if not (ROOT / name).exists()] == []


def exists(name: str, document: Path) -> bool:
    """Return whether a name is that of a file here, beside the document, or the text of a link to such a file."""
    linked = re.search(rf"\[`{re.escape(name)}`\]\(", source(document))
    return bool(linked) or any((folder / name).exists() for folder in (ROOT, document.parent))


CITED = re.compile(r"(?:\[[^]]*\]\(([\w./-]+\.md)\)|\b(README|[\w./-]+\.md)), \"([^\"]+)\"")


def test_headings_that_are_cited_exist():
    texts = {path: source(path) for path in DOCUMENTS}
    texts |= {path: path.read_text(encoding="utf-8") for path in [ROOT / "Makefile", *MODULES]}
    cited = [(path, match) for path, text in texts.items() for match in CITED.finditer(text.replace('\\"', '"'))]
    assert len(cited) >= 3
    for path, match in cited:
        name = (match[1] or match[2]).replace("README.md", "README")
        document = ROOT / "README.md" if name == "README" else path.parent / name
        assert match[3] in headings(document if document.exists() else ROOT / name), (path.name, match[0])
