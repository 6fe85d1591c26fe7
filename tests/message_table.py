"""The messages with which the scripts reject something: in the source, and as the tests met them."""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Every message that a test met; docs/errors.md has those of the scripts, each once.
ALL = ROOT / "tests" / "messages.md"

SOURCES = [*sorted(ROOT.glob("*.py")), *sorted(ROOT.glob("detector/**/*.py"))]
VALUE = "…"  # of a message's variable part
REASON = "‹reason of the system›"
INNER = "‹another message›"
SENT = "‹message of a node›"

# What the system may say of a file.
SYSTEM = "|".join(sorted({re.escape(os.strerror(number)) for number in errno.errorcode}))
# A value in a cell of the table, what the system says, and what another process of a cluster has said.
PATTERNS = {
    VALUE: r"[^|]*",
    REASON: f"({SYSTEM})",
    INNER: r"[^|]*",
    SENT: r"(?:[^|]* \(on node [^|]*\)|node [^|]* cannot [^|]*)",
}


@dataclass(frozen=True)
class Message:
    """Where an `InputError` is made, and its text as a template: a list of texts, one for each way to say it.

    In a text, `VALUE` stands for anything, and `INNER` for another error's message that is passed on.
    """

    place: str
    texts: tuple[str, ...]

    @property
    def template(self) -> str:
        """Return the text as one line, alternatives in braces."""
        return self.texts[0] if len(self.texts) == 1 else "{" + " | ".join(self.texts) + "}"

    @property
    def letters(self) -> int:
        """Return how many letters of its own the shortest text has, or what the system says."""
        own = ("".join("system" if part == REASON else part for part in _parts(text)) for text in self.texts)
        return min(len(re.sub(r"[^a-zA-Z]", "", text)) for text in own)

    @property
    def passes_on(self) -> bool:
        """Whether the message is another one, with or without words before it."""
        return INNER in self.template or SENT in self.template

    @cached_property
    def words(self) -> list[tuple[list[str], str]]:
        """Return the parts of each text that are words of its own, and the text."""
        return [([part.lower() for part in _parts(text) if part not in PATTERNS], text) for text in self.texts]

    def covered(self, said: str) -> set[int]:
        """Return which characters of what was said are words of this message; none if it is another one."""
        for words, text in self.words:
            # Most lines lack a word: this is asked first because a pattern takes a hundred times as long.
            if all(word in said.lower() for word in words) and (found := _compiled(text).search(said)):
                return {at for start, end in found.regs[1:] for at in range(start, end) if said[at].isalpha()}
        return set()


def _parts(text: str) -> list[str]:
    return [part for part in re.split(f"({'|'.join(map(re.escape, PATTERNS))})", text) if part]


@cache
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(_pattern(text), re.IGNORECASE)


def _pattern(text: str) -> str:
    return "".join(PATTERNS.get(part, f"({re.escape(part)})") for part in _parts(text))


def short(text: str) -> str:
    """Return a message of the table as it was said: without the table's marks, and without a script's name."""
    said = text.partition(" | ")[0].removeprefix("| ").strip("`")
    return said.partition(": error: ")[2] or said


def met(known: Sequence[Message], lines: Iterable[str]) -> set[str]:
    """Return the places of the messages that some lines are.

    A line is a message unless all words that they have in common are words of a longer message as well:
    "--kaggle x is not a folder" does not meet "… is not a folder". A message that passes on another is met by a line
    that is, as a whole, its words and a message of another place.
    """
    own = [message for message in known if not message.passes_on]
    found = set()
    for said in dict.fromkeys(lines):
        covered = {message: some for message in own if (some := message.covered(said))}
        found |= {one.place for one, some in covered.items() if not any(some < other for other in covered.values())}
        for message in set(known) - set(own):
            whole = {text.replace(INNER, other) for text in message.texts for one in covered for other in one.texts}
            if any(re.fullmatch(_pattern(text), said, re.IGNORECASE) for text in whole):
                found.add(message.place)
    return found


def messages() -> Iterator[Message]:
    """Yield every `InputError` that the source makes."""
    trees = {path: list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in SOURCES}
    returned = {
        node.name: _returned(node) for nodes in trees.values() for node in nodes if isinstance(node, ast.FunctionDef)
    }
    for path, nodes in trees.items():
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler) and node.type]
        for node in nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError"):
                continue
            inside = [one for one in functions if one.lineno <= node.lineno <= one.end_lineno]
            within = [one for one in handlers if one.lineno <= node.lineno <= one.end_lineno]
            caught = {one.name for one in within if ast.unparse(one.type) == "InputError"}
            scope = Scope(_assigned(inside), returned, frozenset(name for name in caught if name))
            yield Message(f"{path.name}:{node.lineno}", tuple(scope.texts(scope.resolve(node.args[0]))))


def _returned(function: ast.FunctionDef) -> list[ast.expr]:
    """Return the texts that a function returns; none where it also returns what is computed."""
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    values = [one for value in returned for one in _branches(value)]
    return values if all(isinstance(one, ast.JoinedStr) or _is_text(one) for one in values) else []


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


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
    """What names have as values where a message is made, which texts functions return, and which errors were caught."""

    assigned: dict[str, list[ast.expr]]
    returned: dict[str, list[ast.expr]]
    caught: frozenset[str] = frozenset()

    def resolve(self, message: ast.expr) -> ast.expr:
        """Return the text that a name was given, or what else it was given; or the message as it is."""
        names = [part.id for part in ast.walk(message) if isinstance(part, ast.Name) and part.id != "str"]
        if isinstance(message, ast.JoinedStr | ast.Call) and not ast.unparse(message).startswith("str("):
            return message
        values = self.assigned.get(names[0], []) if names else []
        texts = [part for value in values for part in ast.walk(value) if isinstance(part, ast.JoinedStr)]
        return next(iter([*texts, *values]), message)

    def texts(self, message: ast.expr) -> list[str]:
        """Return the texts of a message: its own words, and marks where it has a value."""
        if isinstance(message, ast.Constant):
            # As in the table: no bars, no backquotes.
            return [str(message.value).replace("|", "¦").replace("`", "'")]
        if isinstance(message, ast.JoinedStr):
            return ["".join(parts) for parts in product(*map(self.texts, message.values))]
        source = ast.unparse(message)
        if "strerror" in source:
            return [REASON]
        if self.caught & {part.id for part in ast.walk(message) if isinstance(part, ast.Name)}:
            return [INNER]
        # On a cluster, another process has made the message; it is in a column of the row that came back.
        if re.search(r"row\['(error|rejected)'\]", source):
            return [SENT]
        inner = message.value if isinstance(message, ast.FormattedValue) else message
        return [text for one in self._texts_of(inner) for text in Scope({}, {}).texts(one)] or [VALUE]

    def _texts_of(self, value: ast.expr) -> list[ast.expr]:
        """Return the texts that a called function of this project returns; without "" where it was looked at first."""
        named = self.assigned.get(value.id, []) if isinstance(value, ast.Name) else []
        for one in [value, *named]:
            if isinstance(one, ast.Call):
                name = one.func.attr if isinstance(one.func, ast.Attribute) else ast.unparse(one.func)
                texts = self.returned.get(name, [])
                if found := [text for text in texts if not named or not _is_text(text) or text.value]:
                    return found
        return []
