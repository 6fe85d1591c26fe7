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
ALL = (
    ROOT / "tests" / "messages.md"
)  # every message that a test met; docs/errors.md has those of the scripts, each once

# What the system may say of a file: a message that ends in it ends in one of these.
SYSTEM = "|".join(re.escape(os.strerror(number)) for number in errno.errorcode)
VALUE = r"[^|]*"  # of a message's variable part, in a cell


@dataclass(frozen=True)
class Message:
    """Where an `InputError` is made, a pattern of its message, and whether that is another error's message."""

    place: str
    pattern: str
    passed_on: bool = False

    @property
    def words(self) -> str:
        """The letters of the pattern that are not variable."""
        return re.sub(r"[^a-zA-Z]", "", self.pattern.replace(f"(?:{SYSTEM})", "system").replace(VALUE, ""))


def messages() -> Iterator[Message]:
    """Yield every `InputError` that the source makes."""
    for path in [*sorted(ROOT.glob("*.py")), *sorted(ROOT.glob("detector/**/*.py"))]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError"):
                continue
            message = node.args[0]
            names = [part.id for part in ast.walk(message) if isinstance(part, ast.Name) and part.id != "str"]
            if not isinstance(message, ast.JoinedStr) and names:
                message = assigned(names[0], node, functions) or message
            caught = any(
                ast.unparse(one.type) == "InputError" for one in handlers if one.type and node in ast.walk(one)
            )
            # On a cluster, another process has made the message; it is in a column of the row that came back.
            sent = bool(re.search(r"\brow\[", ast.unparse(message)))
            yield Message(f"{path.name}:{node.lineno}", pattern(message), caught or sent)


def assigned(name: str, where: ast.AST, functions: list[ast.FunctionDef]) -> ast.expr | None:
    """Return what a function assigns to a name before it makes a message of it: the text, if there is one."""
    inside = [function for function in functions if where in ast.walk(function)]
    nodes = [node for function in inside for node in ast.walk(function) if isinstance(node, ast.Assign)]
    values = [node.value for node in nodes if ast.unparse(node.targets[0]) == name]
    texts = [part for value in values for part in ast.walk(value) if isinstance(part, ast.JoinedStr)]
    return next(iter([*texts, *values]), None)


def pattern(message: ast.expr) -> str:
    """Return a pattern that a message matches: its own words, and anything where it has a value."""
    if isinstance(message, ast.Constant):
        # As in the table: no bars, no backquotes.
        return re.escape(str(message.value).replace("|", "¦").replace("`", "'"))
    if isinstance(message, ast.JoinedStr):
        return "".join(pattern(part) for part in message.values)
    return f"(?:{SYSTEM})" if "strerror" in ast.unparse(message) else VALUE


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

    known = [message for message in messages() if not message.passed_on]
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
