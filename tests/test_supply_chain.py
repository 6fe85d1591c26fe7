"""The source evaluates nothing that it reads, and every dependency is pinned."""

from __future__ import annotations

import ast
import re

import pytest
from conftest import ROOT

SOURCES = [*ROOT.glob("*.py"), *ROOT.glob("detector/**/*.py"), *ROOT.glob("tools/**/*.py")]
UNSAFE = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "keras.models.load_model"}
# What its processes on Ray send each other, which Ray would pickle itself; no file and no user's input.
ON_RAY = ROOT / "detector" / "cluster" / "connection.py"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_unpickled_evaluated_passed_to_a_shell_or_fetched_without_tls(path):
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    imported = {alias.name for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported & UNSAFE == ({"pickle"} if path == ON_RAY else set())
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    assert not {ast.unparse(call.func) for call in calls} & CALLS
    assert not {keyword.arg for call in calls for keyword in call.keywords} & {"shell", "allow_pickle"}
    assert "tools" in path.parts or set(re.findall(r"http://[^\s\"']+", text)) <= {"http://"}


LOCKED = ["requirements", *sorted(f"requirements/{path.stem}" for path in (ROOT / "requirements").glob("*.txt"))]


@pytest.mark.parametrize("name", LOCKED)
def test_every_dependency_is_pinned_with_a_digest(name):
    wanted = [line for line in (ROOT / f"{name}.txt").read_text().splitlines() if line and line[0] not in "#-"]
    locked = re.sub(r"\\\n", " ", (ROOT / f"{name}.lock").read_text())
    pins = [line for line in locked.splitlines() if line and not line.strip().startswith("#")]
    assert pins
    for line in pins:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+.* --hash=sha256:[0-9a-f]{64}", line), line
    for line in wanted:
        package, _, version = line.partition(" ")[0].partition("==")
        assert version, line
        name = re.escape(package.partition("[")[0].lower())
        assert re.search(rf"^{name}(\[[a-z,]+\])?=={re.escape(version)} ", locked, re.MULTILINE), line
