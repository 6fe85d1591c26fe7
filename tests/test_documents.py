"""Documents, help, messages, docstrings, comments and names use the words of the field."""

from __future__ import annotations

import ast
import functools
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, script
from document_helpers import DOCUMENTS, MODULES, TEMPLATES, TOOLS, source

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
CODE = [*MODULES, *TOOLS]

# Word of old drafts, as a regular expression, and the field's word.
GLOSSARY = {
    r"told|tells? (apart|the class\w*|whether)": "classified, separates (or: given, where a value is)",
    r"called covid": "predicted covid",
    r"answers?|answered": "prediction, result",
    r"the ill|the well|ill (and|or|nor) \w+": "patients with, without COVID-19",
    r"films?": "radiograph, image",
    r"frames?": "border",
    r"origins?|of the same source": "site",
    r"traits?": "properties",
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
    r"mend(s|ed)?|refus(e[sd]?|als?|ing)|ha(s|ve|d) (a|no) say|be had": "fix, rejected, affects, not available",
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

# The same in docstrings and comments alone: word, where it may stand, and as what.
CODE_EXCEPTIONS = {
    r"copies": ("", "augmented copies, near duplicates, files: code says which by its subject"),
    r"strengths?": ("", "of a regularisation, a shortcut, an opacity"),
    r"corners?": ("", "of an image, a figure, a curve"),
    r"heat( maps?)?": ("", "the values of Grad-CAM, which the literature calls a heat map"),
    r"pages?|frames?": ("detector/images/", "of a TIFF file, of a DICOM file"),
    r"D. Page|white page|page scanners": ("detector/", "an author; of paper"),
    r"the page": ("tools/notebook_helpers.py", "of the notebook"),
    r"but one page": ("tools/fault_injection/", "of a disk"),
    r"outlines?": ("detector/", "of the lungs: the shape that the lung mask's experiment shows"),
    r"bit depth|of its depth": ("detector/images/", "of grey values; of a phantom's lung"),
    r"does not answer": ("detector/command_line/", "of a disk"),
    r"shuffled, freshly rotated": ("tools/benchmarks/", "batches of the tutorial"),
}
# Parts of names that no function, argument or variable has: "told" of "told_source".
NAMES = re.compile(
    r"told|ill|films?|tenths|unsound|accuse[sd]?|doubt\w*|verdicts?|learnt|adopt\w*|clones?|alike|strangers?|tortur\w+"
    r"|mend(ed|s)?|refus\w+|traits?"
)


def prose(path: Path) -> str:
    """Return a document's text without code, which has names of its own."""
    text = re.sub(r"^```.*?^```|^    .*?$", " ", source(path), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)


def unwanted(text: str, exceptions: Iterable[str] = EXCEPTIONS) -> list[str]:
    """Return the words of the glossary's left column that stand in a text, with what to write instead."""
    text = re.sub(r"\s+", " ", text)
    allowed = [match.span() for reason in exceptions for match in re.finditer(reason, text, re.IGNORECASE)]
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


@functools.cache
def tree(path: Path) -> ast.Module:
    """Return a module as Python parses it."""
    return ast.parse(path.read_text(encoding="utf-8"))


def messages(path: Path) -> Iterator[str]:
    """Yield the sentences of a module: string literals of two words or more that are not docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
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


def remarks(path: Path) -> Iterator[str]:
    """Yield the docstrings of a module, and its blocks of comments, without the names that stand in them."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) for node in ast.walk(tree(path)) if isinstance(node, owners)]
    lines: dict[int, str] = {}
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                lines[token.start[0]] = lines.pop(token.start[0] - 1, "") + token.string.lstrip("#")
    for text in [*filter(None, found), *lines.values()]:
        yield re.sub(r"``[^`]*``|`[^`]*`|--[a-z-]+", " ", text)


def exceptions_in(path: Path) -> list[str]:
    """Return the exceptions for docstrings and comments of a module."""
    place = path.relative_to(ROOT).as_posix()
    return [*EXCEPTIONS, *(word for word, (folder, _) in CODE_EXCEPTIONS.items() if place.startswith(folder))]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstrings_and_comments_use_the_words_of_the_field(path):
    allowed = exceptions_in(path)
    assert [words for text in remarks(path) if (words := unwanted(text, allowed))] == []


def names(path: Path) -> Iterator[str]:
    """Yield the names that a module defines: functions, classes, arguments, variables and attributes."""
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def named_otherwise(found: Iterable[str]) -> list[str]:
    """Return those of some names that have a word of the glossary's left column as a part."""
    parts = {name: re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name) for name in found}
    return sorted(name for name, words in parts.items() if any(NAMES.fullmatch(word.lower()) for word in words))


def test_names_use_the_words_of_the_field():
    paths = [*CODE, *sorted((ROOT / "tests").rglob("*.py"))]
    found = {path.name: words for path in paths if (words := named_otherwise(names(path)))}
    assert found == {}


def test_the_glossary_detects_a_word_and_knows_its_exceptions():
    assert unwanted("The film is refused.")
    assert unwanted("Its AUC is 0.9.") and not unwanted("Its ROC AUC is 0.9.")
    assert unwanted("Three frames differ.") and not unwanted("30 frames, of which frame 3 is shown")
    assert unwanted("adopted") and not unwanted("adapted, untold, mendacious, outlined-region")
    every = "\n".join([*map(prose, DOCUMENTS), *(text for path in MODULES for text in messages(path))])
    unused = [pattern for pattern in EXCEPTIONS if not re.search(pattern, re.sub(r"\s+", " ", every), re.IGNORECASE)]
    assert unused == [], "exceptions that nothing needs any more"


def test_the_glossary_of_code_detects_a_word_and_knows_its_exceptions(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""Doubtful is no doubt."""\n\n# Of two films, one\n# is told.\nclone_of = `1`\n'.replace("`", "")
    )
    docstring, comment = remarks(module)
    assert [len(unwanted(text, [])) for text in (docstring, comment)] == [1, 2]
    assert named_otherwise([*names(module), "untold", "filmed", "IllPosed", "_refusal"]) == [
        "IllPosed",
        "_refusal",
        "clone_of",
    ]
    unused = set(CODE_EXCEPTIONS)
    for path in CODE:
        texts = [re.sub(r"\s+", " ", text) for text in remarks(path) if unwanted(text)]
        here = unused & set(exceptions_in(path))
        unused -= {word for word in here for text in texts if re.search(rf"\b(?:{word})\b", text, re.IGNORECASE)}
    assert not unused, "exceptions that nothing needs any more"
