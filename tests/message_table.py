"""The messages with which the scripts reject something: in the source, and as the tests met them."""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# Every message that a test met; docs/errors.md has those of the scripts, each once.
ALL = ROOT / "tests" / "messages.md"

# What the system may say of a file: a message that ends in it ends in one of these.
SYSTEM = "|".join(re.escape(os.strerror(number)) for number in errno.errorcode)
SOURCES = [*sorted(ROOT.glob("*.py")), *sorted(ROOT.glob("detector/**/*.py"))]
VALUE = r"[^|]*"  # of a message's variable part, in a cell


@dataclass(frozen=True)
class Message:
    """Where an `InputError` is made, a pattern of its message, and whether that is another error's message."""

    place: str
    pattern: str
    passed_on: bool = False

    @property
    def has_words(self) -> bool:
        """Whether the pattern has letters of its own, so that not any message matches it."""
        own = self.pattern.replace(f"(?:{SYSTEM})", "system").replace(VALUE, "")
        return len(re.sub(r"[^a-zA-Z]", "", own)) >= 5


def messages() -> Iterator[Message]:
    """Yield every `InputError` that the source makes."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    returned = {
        node.name: _returned(node)
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    for path, tree in trees.items():
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type]
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError"):
                continue
            inside = [function for function in functions if node in ast.walk(function)]
            scope = Scope(_assigned(inside), returned)
            message = scope.resolve(node.args[0])
            caught = any(ast.unparse(one.type) == "InputError" and node in ast.walk(one) for one in handlers)
            # On a cluster, another process has made the message; it is in a column of the row that came back.
            sent = bool(re.search(r"\brow\[", ast.unparse(message)))
            yield Message(f"{path.name}:{node.lineno}", scope.pattern(message), caught or sent)


def _returned(function: ast.FunctionDef) -> list[ast.expr]:
    """Return the texts that a function returns; none where it also returns what is computed."""
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    values = [one for value in returned for one in _branches(value)]
    texts = [value for value in values if not isinstance(value, ast.Constant) or value.value]
    return texts if all(isinstance(text, ast.JoinedStr | ast.Constant) for text in texts) else []


def _branches(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]


def _assigned(functions: list[ast.FunctionDef]) -> dict[str, list[ast.expr]]:
    """Return what functions assign to each name."""
    found: dict[str, list[ast.expr]] = {}
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                found.setdefault(ast.unparse(node.targets[0]), []).append(node.value)
            elif isinstance(node, ast.NamedExpr):
                found.setdefault(node.target.id, []).append(node.value)
    return found


@dataclass(frozen=True)
class Scope:
    """What names have as values where a message is made, and which texts functions return."""

    assigned: dict[str, list[ast.expr]]
    returned: dict[str, list[ast.expr]]

    def resolve(self, message: ast.expr) -> ast.expr:
        """Return the text that a name was given, or what else it was given; or the message as it is."""
        names = [part.id for part in ast.walk(message) if isinstance(part, ast.Name) and part.id != "str"]
        if isinstance(message, ast.JoinedStr | ast.Call) and not ast.unparse(message).startswith("str("):
            return message
        values = self.assigned.get(names[0], []) if names else []
        texts = [part for value in values for part in ast.walk(value) if isinstance(part, ast.JoinedStr)]
        return next(iter([*texts, *values]), message)

    def pattern(self, message: ast.expr) -> str:
        """Return a pattern that a message matches: its own words, and anything where it has a value."""
        if isinstance(message, ast.Constant):
            # As in the table: no bars, no backquotes.
            return re.escape(str(message.value).replace("|", "¦").replace("`", "'"))
        if isinstance(message, ast.JoinedStr):
            return "".join(map(self.pattern, message.values))
        if "strerror" in ast.unparse(message):
            return f"(?:{SYSTEM})"
        if texts := self._texts_of(message.value if isinstance(message, ast.FormattedValue) else message):
            return f"(?:{'|'.join(map(Scope({}, {}).pattern, texts))})"
        return VALUE

    def _texts_of(self, value: ast.expr) -> list[ast.expr]:
        """Return the texts that a called function of this project returns."""
        for one in [value, *(self.assigned.get(value.id, []) if isinstance(value, ast.Name) else [])]:
            if isinstance(one, ast.Call):
                name = one.func.attr if isinstance(one.func, ast.Attribute) else ast.unparse(one.func)
                if texts := self.returned.get(name):
                    return texts
        return []


class Said(NamedTuple):
    """A test, the command line that it gave (empty where it called a function), and the message."""

    test: str
    given: str
    said: str


def write(rows: Iterable[Said], document: Path) -> None:
    """Write what the tests met: all of it to `ALL`, each message of a script once to `document`."""
    found = sorted({Said(*map(_cell, row)) for row in rows}, key=lambda row: (_text(row), row))
    lines = [f"| {_code(row.said)} | {_code(row.given)} | {row.test} |" for row in found]
    ALL.write_text("\n".join([HEADING_ALL, *lines, ""]), encoding="utf-8")

    known = [message for message in messages() if message.has_words and not message.passed_on]
    scripts: dict[str, dict[str, Said]] = {}
    for row in found:
        script = row.given.partition(" ")[0]
        if script.endswith(".py"):
            place = next((one.place for one in known if re.search(one.pattern, row.said, re.IGNORECASE)), _text(row))
            scripts.setdefault(script, {}).setdefault(place, row)
    lines = [HEADING]
    for script, once in sorted(scripts.items()):
        lines += ["", f"## {script}", "", "| message | an example |", "| --- | --- |"]
        lines += [f"| {_code(_text(row))} | {_code(row.given.partition(' ')[2])} |" for row in once.values()]
    document.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _cell(text: str) -> str:
    return text.replace("|", "¦").replace("`", "'")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _text(row: Said) -> str:
    return row.said.partition(": error: ")[2] or row.said


HEADING = """# Error messages

Generated by the test suite (`make errors`). An error is one line on stderr, the exit status is 2. Each message stands
here once per script, with arguments that led to it. `…` stands for a folder."""

HEADING_ALL = """# Messages that the tests met

Generated by `make errors`; `tests/test_errors.py` fails for a message of the source that is not here.

| message | command line | test |
| --- | --- | --- |"""
