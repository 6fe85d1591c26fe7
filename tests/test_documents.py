"""Documents cite what exists, and documents, help and messages use the words of the field."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, script

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
NOTEBOOK = ROOT / "tutorial.ipynb"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "dataset/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "detector" / "network" / "lung_decoder.md",
    NOTEBOOK,
]
MODULES = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "detector").rglob("*.py"))]
TEMPLATES = sorted((ROOT / "detector" / "reports" / "templates").glob("*.j2"))

# Word of old drafts, as a regular expression, and the field's word.
GLOSSARY = {
    r"told|tells? the class\w*": "classified, separates (or: given, where a value is)",
    r"called covid": "predicted covid",
    r"answers?|answered": "prediction, result",
    r"the ill|the well": "patients with, without COVID-19",
    r"films?": "radiograph, image",
    r"frames?": "border",
    r"origins?": "site",
    r"(?<!ROC )AUCs?": "ROC AUC",
    r"tenths": "deciles",
    r"blacked out|holes?|outlines?": "masked out, masked region, lung mask",
    r"shuffled": "permuted",
    r"unsound": "leakage suspected",
    r"depths?": "VGG16 blocks",
    r"corners?": "upper-left pooling",
    r"copies": "augmented copies",
    r"strengths?": "regularisation strength",
    r"accuse[sd]?": "false alarm",
    r"sure|surest": "confident",
    r"where (it|the model) looked|heat": "Grad-CAM",
    r"pages?": "HTML report",
    r"believed?|doubts?": "validity checks; warn",
    r"verdicts?|learnt": "conclusion, learned",
    r"adopt(s|ed|ion)?|clones?": "write manifests for, local copy",
    r"draws? (normal|a finding)|to draw": "sample",
    r"the house|tortur\w+|strangers?": "architecture, fault injection, untrusted input",
    r"mend(s|ed)?|refuse[sd]?|ha(s|ve) a say|be had": "fix, rejected, affects, not available",
}

# Where such a word means something else: what stands there, and why it may.
EXCEPTIONS = {
    r"(rotated|augmented|training|changed) copies|\d+ copies|copies of \d+": "images that a run makes, not files",
    r"(epochs or|dropout, \w+) copies|copies an image": "augmented copies, in a list of what a recipe has",
    r"copies (images )?byte for byte|copies( as PNG|\.| have| without| \|)|no copies|of copies": "files",
    r"regularisation strength|the strength of the shortcut|at strength \d": "of a regularisation, a shortcut",
    r"frames, of which frame": "of a multi-frame DICOM file",
    r"pages, of which page|web page": "of a TIFF file; of the web",
    r"git clone": "the command",
    r"upper left corner|letter in a corner": "of an image, as coordinates have it",
    r"no answer|(server )?answered( with status| X)?": "of a network connection, a server",
    r"of the draw|random draws?|paired bootstrap[^.]*draws|of \d+ draws|four draws": "of random numbers",
}


def prose(path: Path) -> str:
    """Return a document's text without code, which has names of its own."""
    text = path.read_text(encoding="utf-8")
    if path == NOTEBOOK:
        text = "\n\n".join("".join(cell["source"]) for cell in markdown_cells())
    text = re.sub(r"^```.*?^```|^    .*?$", " ", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)


def markdown_cells() -> list[dict]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "markdown"]


def unwanted(text: str) -> list[str]:
    """Return the words of the glossary's left column that stand in a text, with what to write instead."""
    text = re.sub(r"\s+", " ", text)
    allowed = [match.span() for reason in EXCEPTIONS for match in re.finditer(reason, text, re.IGNORECASE)]
    found = []
    for pattern, instead in GLOSSARY.items():
        flags = 0 if "AUC" in pattern else re.IGNORECASE
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, flags):
            if not any(start <= match.start() and match.end() <= end for start, end in allowed):
                around = text[max(0, match.start() - 30) : match.end() + 30]
                found.append(f"{match[0]!r} in {around!r}: write {instead}")
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_uses_the_words_of_the_field(path):
    assert unwanted(prose(path)) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_uses_the_words_of_the_field(name):
    shown = script(name, "--help", cwd=ROOT, COLUMNS="400").stdout
    assert "usage:" in shown
    # Flags are names, as in code.
    assert unwanted(re.sub(r"--[a-z-]+|\{[^}]*\}|\[[^]]*\]", " ", shown)) == []


def messages(path: Path) -> Iterator[str]:
    """Yield the sentences of a module: string literals of two words or more that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def test_messages_use_the_words_of_the_field():
    found = {}
    for path in MODULES:
        for text in messages(path):
            if " " in text.strip() and (words := unwanted(re.sub(r"--[a-z-]+", " ", text))):
                found[f"{path.relative_to(ROOT)}: {text}"] = words
    assert found == {}


def test_reports_use_the_words_of_the_field():
    for path in TEMPLATES:
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", path.read_text(encoding="utf-8"))
        assert unwanted(text) == [], path.name


def test_the_glossary_detects_a_word_and_knows_its_exceptions():
    assert unwanted("The film is refused.")
    assert unwanted("Its AUC is 0.9.") and not unwanted("Its ROC AUC is 0.9.")
    assert unwanted("Three frames differ.") and not unwanted("30 frames, of which frame 3 is shown")
    assert unwanted("adopted") and not unwanted("adapted, untold, mendacious, outlined-region")
    every = "\n".join([*map(prose, DOCUMENTS), *(text for path in MODULES for text in messages(path))])
    unused = [pattern for pattern in EXCEPTIONS if not re.search(pattern, re.sub(r"\s+", " ", every), re.IGNORECASE)]
    assert unused == [], "exceptions that nothing needs any more"


# Links, files and headings


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    text = re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def headings(path: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", source(path), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def source(path: Path) -> str:
    if path == NOTEBOOK:
        return "\n\n".join("".join(cell["source"]) for cell in markdown_cells())
    return path.read_text(encoding="utf-8")


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
    paths = [*MODULES, *sorted((ROOT / "tools").rglob("*.py")), *TEMPLATES, ROOT / ".ci" / "run"]
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
