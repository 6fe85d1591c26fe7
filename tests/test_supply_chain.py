"""The source evaluates nothing that it reads, and every dependency is pinned."""

from __future__ import annotations

import ast
import re

import pytest
from conftest import ROOT

# Bombs


# Paths and links


# Names and cells that end in terminals and spreadsheets


# Servers


# Interrupted builds


# Supply chain


def sources():
    return [*ROOT.glob("*.py"), *ROOT.glob("detector/**/*.py"), *ROOT.glob("tools/**/*.py")]


def test_nothing_is_unpickled_evaluated_or_passed_to_a_shell():
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"} & set(names), path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "compile", "os.system", "os.popen", "keras.models.load_model"), (
                    path
                )
                assert not any(keyword.arg in ("shell", "allow_pickle") for keyword in node.keywords), path


def test_addresses_are_https():
    for path in sources():
        for address in re.findall(r"http://[^\s\"']+", path.read_text(encoding="utf-8")):
            assert address in ("http://",) or "tools" in path.parts, (path, address)


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
