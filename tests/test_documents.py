"""Documents, help, messages, docstrings, comments and names use the words of the field."""

from __future__ import annotations

import ast
import functools
import json
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audit_helpers import Case, RidgeRecipe, audit_of, extractor_of, outcome_of
from conftest import ROOT, script
from document_helpers import DOCUMENTS, MODULES, TEMPLATES, TOOLS, source

import audit_covid19
import train_covid19
from detector.audit import experiments, metrics, subgroups, validity
from detector.audit.checks import Run
from detector.audit.conclusion import Evidence, conclude
from detector.audit.localisation import Localisation
from detector.cli.output import Log
from detector.datasets import manifest
from detector.network.head import TrainedHead
from detector.reports import audit_outputs, run_record, training_outputs
from detector.reports.audit_outputs import AuditResult
from detector.reports.training_outputs import TrainingResult

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
    r"does not answer": ("detector/cli/", "of a disk"),
    r"shuffled, freshly rotated": ("tools/benchmarks/", "batches of the tutorial"),
}
# Parts of names that no function, argument or variable has: "told" of "told_source".
NAMES = re.compile(
    r"told|ill|films?|tenths|unsound|accuse[sd]?|doubt\w*|verdicts?|learnt|adopt\w*|clones?|alike|strangers?|tortur\w+"
    r"|mend(ed|s)?|refus\w+|traits?"
)


# The same in README, docs and the notebook alone; the changelog tells what once was.
DOCUMENT_GLOSSARY = {
    r"looks?|looked|looking": "reads, uses, tests; Grad-CAM",
    r"says?|said": "states, prints, shows; predicts",
    r"anew": "again; resampled",
    r"g(ives?|ave) (\w+ ){0,3}away": "predicts the class",
    r"named": "listed, reported; detected",
}
DOCUMENT_EXCEPTIONS = {
    r"look at it|look at \*which\*|we looked at|looking at these": "of people who look at images",
    r"a model named": "of a file",
}


def prose(path: Path) -> str:
    """Return a document's text without code, which has names of its own."""
    text = re.sub(r"^```.*?^```|^    .*?$", " ", source(path), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)


def unwanted(text: str, exceptions: Iterable[str] = EXCEPTIONS, glossary: Mapping[str, str] = GLOSSARY) -> list[str]:
    """Return the words of a glossary's left column that stand in a text, with what to write instead."""
    text = re.sub(r"\s+", " ", text)
    allowed = [match.span() for reason in exceptions for match in re.finditer(reason, text, re.IGNORECASE)]
    found = []
    for pattern, instead in glossary.items():
        flags = 0 if "AUC" in pattern else re.IGNORECASE
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, flags):
            if not any(start <= match.start() and match.end() <= end for start, end in allowed):
                around = text[max(0, match.start() - 30) : match.end() + 30]
                found.append(f"{match[0]!r} in {around!r}: write {instead}")
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_uses_the_words_of_the_field(path):
    assert unwanted(prose(path)) == []
    if path.name != "CHANGELOG.md":
        assert unwanted(prose(path), DOCUMENT_EXCEPTIONS, DOCUMENT_GLOSSARY) == []


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
    allowed = [*EXCEPTIONS, *DOCUMENT_EXCEPTIONS]
    unused = [pattern for pattern in allowed if not re.search(pattern, re.sub(r"\s+", " ", every), re.IGNORECASE)]
    assert unused == [], "exceptions that nothing needs any more"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("what the model looked at", "We looked at four of these."),
        ("The report says lateral.", "an essay on hearsay"),
        ("drawn anew", "renewed"),
        ("The border gives the class away.", "It gives the class, far away from it."),
        ("A shortcut is named.", "A model named NAME.h5 is renamed."),
    ],
)
def test_the_glossary_of_documents_detects_a_word_and_knows_its_exceptions(wrong, right):
    assert unwanted(wrong, DOCUMENT_EXCEPTIONS, DOCUMENT_GLOSSARY)
    assert not unwanted(right, DOCUMENT_EXCEPTIONS, DOCUMENT_GLOSSARY)


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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_hold_no_comment_since_not_every_shell_takes_one(path):
    # zsh: an interactive "#" begins no comment, so that quotes and parentheses behind it are read.
    blocks = re.findall(r"^```bash\n(?:.*\n)*?```|(?:^ {4}\S.*\n)+", f"{source(path)}\n", re.MULTILINE)
    assert [line for block in blocks for line in block.splitlines() if re.search(r"(^|\s)#", line)] == []


@pytest.mark.parametrize(
    ("term", "gloss"),
    [
        ("phantom", "synthetic radiographs"),
        ("controls", "other findings from the same site"),
        ("view", "projection"),
        ("recipe", "training recipe"),
        ("stratum", "one site and one view"),
    ],
)
def test_terms_that_are_not_common_are_explained_once(term, gloss):
    texts = [re.sub(r"\s+", " ", source(path)) for path in DOCUMENTS if path.name != "CHANGELOG.md"]
    assert any(term in text and gloss in text for text in texts)


def training_record() -> dict[str, object]:
    """Return the record of a training run on made-up features, as it stands in its JSON file."""
    extractor = extractor_of(Case())
    everything = np.arange(len(extractor.properties))
    evaluated = replace(
        outcome_of(extractor, np.random.default_rng(0).random(len(everything))),
        fitted=SimpleNamespace(trained=TrainedHead([], {"loss": []})),
        train=everything,
    )
    found = metrics.compute_metrics(extractor, evaluated, metrics.MetricSettings(0, 0, True, 0.02))
    checked = validity.run_checks(Run(extractor, evaluated, found, RidgeRecipe(), extractor.patients, []))
    options = train_covid19.parse_arguments(["--prevalence", "0.02"])
    table = subgroups.subgroups(extractor, evaluated, 0)
    result = TrainingResult(
        *(extractor, evaluated, found, table, [], checked, everything, []),
        options.evaluation,
        options.settings("patient"),
        {},
    )
    return json.loads(run_record.as_json(training_outputs.record(result)))


def audit_record(folder: Path) -> dict[str, object]:
    """Return the record of an audit of made-up features, as it stands in its JSON file."""
    audit, options = audit_of(Case()), audit_covid19.parse_arguments(["-o", str(folder), "--no-report"])
    results = experiments.run_experiments(audit)
    conclusion = conclude(Evidence(results, None, "covid", audit.shares_sites()))
    found = AuditResult(results, [], None, [], conclusion, Localisation({}, []), [])
    audit_outputs.save(options.outputs, audit, found, options.settings(), Log(True))
    return json.loads(options.outputs.json.read_text(encoding="utf-8"))


def holds(record: object, key: str) -> bool:
    """Return whether a record holds a key such as ``metrics.*.value``, ``train[].file`` or ``checks[calibration]``."""
    values = [record]
    for part in re.findall(r"\*|\w+|\[\w*\]", key):
        if part == "*":
            values = [one for value in values if isinstance(value, dict) for one in value.values()]
        elif part.startswith("["):
            listed = [one for value in values if isinstance(value, list) for one in value]
            values = [one for one in listed if part == "[]" or one["id"] == part[1:-1]]
        else:
            values = [value[part] for value in values if isinstance(value, dict) and part in value]
    return bool(values)


def cited_keys(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the keys that a document cites, with the file before them, or an empty string."""
    for segment in re.split(r"[|;\n]", source(path)):
        file = ""
        for word in re.findall(r"`([^`]+)`", segment):
            if re.fullmatch(r"[\w.]+\.(json|csv|py|h5|html|png)", word):
                file = word
            elif not word.startswith("-"):
                yield file, word


def test_keys_that_tripod_cites_are_in_the_records(tmp_path):
    records = {
        "covid19.json": training_record(),
        "audit.json": audit_record(tmp_path),
        "manifest.csv": dict.fromkeys(manifest.COLUMNS),
        "metadata.csv": {"date": None},  # Cohen's
    }
    cited = list(cited_keys(ROOT / "docs" / "tripod-ai.md"))
    assert len(cited) >= 40
    missing = [
        (file, key)
        for file, key in cited
        if not any(holds(record, key) for name, record in records.items() if name == (file or "covid19.json"))
    ]
    assert missing == []
    assert not holds(records["covid19.json"], "settings.clinical") and not holds(records["covid19.json"], "seed")
    assert not holds(records["covid19.json"], "checks[unknown]")
